# Sourced by the scripts here: with -h or --help, also after other words, they print the comment at
# their head and end. Separate so that how it is found is written once.
for word; do
  case "$word" in
    -h | --help)
      sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "scripts/${0##*/}"
      exit
      ;;
  esac
done
