# Sourced by the scripts here: with -h or --help they print the comment at their head and end.
# Separate so that how it is found is written once.
case "${1:-}" in
  -h | --help)
    sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "scripts/${0##*/}"
    exit
    ;;
esac
