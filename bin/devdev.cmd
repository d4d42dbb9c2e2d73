@echo off
rem Starts the devdev command line on Windows; main.js needs Node 24 or newer.
setlocal
set "main=%~dp0..\packages\cli\dist\bundle\main.js"
if not exist "%main%" (echo devdev: this checkout is not built: run scripts\setup and scripts\build 1>&2 & exit /b 1)
if not defined DEVDEV_NODE set "DEVDEV_NODE=node"
"%DEVDEV_NODE%" -e "process.exit(process.versions.node.split(String.fromCharCode(46))[0]>=24?0:1)" || (echo devdev: Node 24 or newer is needed: install it or set DEVDEV_NODE 1>&2 & exit /b 1)
"%DEVDEV_NODE%" "%main%" %*
