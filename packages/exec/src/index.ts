// Curated environment, PTY and pipe launchers, process groups. Separate because running a program needs
// no knowledge of how its directory is stored.
