//! The launcher role: `devdev-helper launch` becomes the command that devdev was asked to run. The
//! daemon starts it at `/` and never chdirs or execs into the mount itself, where it could wait on
//! its own server.
//!
//! Standard output is a socket to the daemon, standard input the master end of the terminal if
//! there is one. The talk on the socket: the daemon sends the specification (`spec.rs`); the
//! launcher prepares pipes or terminal and answers `R` and three i32, its own descriptors for the
//! daemon to open through /proc (pipes: stdin, stdout, stderr from the daemon's side; terminal: the
//! slave; -1 for none); the daemon sends `G`. A failure is `E`, u8 stage, i32 errno, u32 length and
//! a path.
//! Success is the end of file that close-on-exec makes.
//!
//! Signals: libuv has reset dispositions and mask in the child, and `Command::exec` undoes the
//! SIGPIPE of Rust's own start-up, so nothing unsafe is needed here.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, Rlimit};
use rustix::termios::{InputModes, OptionalActions};

use crate::HELPER_FAILED;
use crate::lookup::find_program;
use crate::spec::{Limit, MAX_LENGTH, Spec, Stdio, UNLIMITED};
use crate::winsize::winsize;

/// The daemon answers at once or is gone.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(30);

/// Which step failed; the numbers are the wire's (`LAUNCH_STAGES` in launch-spec.ts).
#[derive(Clone, Copy)]
enum Stage {
    Connect = 0,
    Stdio = 1,
    Session = 2,
    Cgroup = 3,
    Limits = 4,
    Chdir = 5,
    Lookup = 6,
    Exec = 7,
}

struct Failure {
    stage: Stage,
    errno: Errno,
    path: Vec<u8>,
}

impl Failure {
    fn at(stage: Stage) -> impl Fn(Errno) -> Failure {
        move |errno| Failure { stage, errno, path: Vec::new() }
    }

    fn with_path(stage: Stage, path: &OsStr) -> impl Fn(Errno) -> Failure {
        move |errno| Failure { stage, errno, path: path.as_bytes().to_vec() }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![b'E', self.stage as u8];
        out.extend(self.errno.raw_os_error().to_le_bytes());
        out.extend((self.path.len() as u32).to_le_bytes());
        out.extend(&self.path);
        out
    }
}

pub fn run() -> ExitCode {
    let Ok(mut daemon) = control_socket() else {
        return ExitCode::from(HELPER_FAILED);
    };
    let Err(failure) = launch(&mut daemon);
    // If the daemon is gone there is nobody left to tell.
    let _ = daemon.write_all(&failure.encode());
    ExitCode::from(HELPER_FAILED)
}

fn control_socket() -> std::io::Result<UnixStream> {
    let control = UnixStream::from(duplicate(rustix::stdio::stdout())?);
    control.set_nonblocking(false)?;
    control.set_read_timeout(Some(DAEMON_TIMEOUT))?;
    control.set_write_timeout(Some(DAEMON_TIMEOUT))?;
    Ok(control)
}

fn launch(daemon: &mut UnixStream) -> Result<std::convert::Infallible, Failure> {
    let spec = read_spec(daemon).map_err(Failure::at(Stage::Connect))?;
    let ends = open_ends(spec.stdio).map_err(Failure::at(Stage::Stdio))?;
    announce(daemon, &ends).map_err(Failure::at(Stage::Connect))?;
    rustix::process::setsid().map_err(Failure::at(Stage::Session))?;
    if let Ends::Terminal { slave } = &ends {
        rustix::process::ioctl_tiocsctty(slave).map_err(Failure::at(Stage::Session))?;
    }
    if let Some(cgroup) = &spec.cgroup {
        enter_cgroup(cgroup).map_err(Failure::with_path(Stage::Cgroup, cgroup))?;
    }
    for limit in &spec.limits {
        set_limit(limit).map_err(Failure::at(Stage::Limits))?;
    }
    rustix::process::umask(Mode::from_raw_mode(spec.umask & 0o777));
    rustix::process::chdir(&spec.cwd).map_err(Failure::with_path(Stage::Chdir, &spec.cwd))?;
    let program = find_program(&spec.argv[0], search_path(&spec))
        .map_err(Failure::with_path(Stage::Lookup, &spec.argv[0]))?;
    replace_stdio(&ends).map_err(Failure::at(Stage::Stdio))?;
    let errno = execute(&program, &spec);
    Err(Failure::with_path(Stage::Exec, program.as_os_str())(errno))
}

fn read_spec(daemon: &mut UnixStream) -> Result<Spec, Errno> {
    let mut length = [0; 4];
    daemon.read_exact(&mut length).map_err(errno_of)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_LENGTH {
        return Err(Errno::TOOBIG);
    }
    let mut message = vec![0; length];
    daemon.read_exact(&mut message).map_err(errno_of)?;
    Spec::decode(&message).map_err(|_| Errno::PROTO)
}

/// Says which descriptors the daemon shall open, and waits until it has.
fn announce(daemon: &mut UnixStream, ends: &Ends) -> Result<(), Errno> {
    let mut ready = vec![b'R'];
    for descriptor in ends.for_daemon() {
        ready.extend(descriptor.to_le_bytes());
    }
    daemon.write_all(&ready).map_err(errno_of)?;
    let mut go = [0];
    daemon.read_exact(&mut go).map_err(errno_of)?;
    if go == *b"G" { Ok(()) } else { Err(Errno::PROTO) }
}

/// What becomes standard input, output and error. All of it is close-on-exec: only the copies that
/// `replace_stdio` makes reach the command.
enum Ends {
    Terminal { slave: OwnedFd },
    Pipes { stdin: Option<Pipe>, stdout: Pipe, stderr: Pipe },
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Ends {
    fn for_daemon(&self) -> [i32; 3] {
        match self {
            Ends::Terminal { slave } => [slave.as_raw_fd(), -1, -1],
            Ends::Pipes { stdin, stdout, stderr } => [
                stdin.as_ref().map_or(-1, |pipe| pipe.write.as_raw_fd()),
                stdout.read.as_raw_fd(),
                stderr.read.as_raw_fd(),
            ],
        }
    }
}

/// Real pipes, not the socket pairs that libuv makes: a command may open /dev/stderr, which a
/// socket refuses with ENXIO.
fn open_ends(stdio: Stdio) -> Result<Ends, Errno> {
    match stdio {
        Stdio::Terminal { cols, rows } => {
            Ok(Ends::Terminal { slave: open_terminal(rustix::stdio::stdin(), cols, rows)? })
        }
        Stdio::Pipes { stdin } => Ok(Ends::Pipes {
            stdin: if stdin { Some(open_pipe()?) } else { None },
            stdout: open_pipe()?,
            stderr: open_pipe()?,
        }),
    }
}

fn open_pipe() -> Result<Pipe, Errno> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok(Pipe { read, write })
}

fn open_terminal(master: impl AsFd, cols: u16, rows: u16) -> Result<OwnedFd, Errno> {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
    unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    let mut modes = rustix::termios::tcgetattr(&slave)?;
    modes.input_modes |= InputModes::IUTF8;
    rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes)?;
    rustix::termios::tcsetwinsize(&slave, winsize(cols, rows))?;
    // libuv makes a child's standard input blocking, and so the daemon's end of it: undo that.
    let flags = rustix::fs::fcntl_getfl(&master)?;
    rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
    Ok(slave)
}

fn replace_stdio(ends: &Ends) -> Result<(), Errno> {
    match ends {
        Ends::Terminal { slave } => set_stdio(slave, slave, slave),
        Ends::Pipes { stdin: Some(stdin), stdout, stderr } => {
            set_stdio(&stdin.read, &stdout.write, &stderr.write)
        }
        Ends::Pipes { stdin: None, stdout, stderr } => {
            let null =
                rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            set_stdio(&null, &stdout.write, &stderr.write)
        }
    }
}

fn set_stdio(stdin: &OwnedFd, stdout: &OwnedFd, stderr: &OwnedFd) -> Result<(), Errno> {
    rustix::stdio::dup2_stdin(stdin)?;
    rustix::stdio::dup2_stdout(stdout)?;
    rustix::stdio::dup2_stderr(stderr)
}

fn duplicate(descriptor: impl AsFd) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(descriptor, 3)
}

fn enter_cgroup(procs: &OsStr) -> Result<(), Errno> {
    // "0" is the writer itself.
    std::fs::write(Path::new(procs), "0").map_err(errno_of)
}

fn set_limit(limit: &Limit) -> Result<(), Errno> {
    let resource = match limit.resource {
        0 => Resource::Cpu,
        1 => Resource::Fsize,
        2 => Resource::Data,
        3 => Resource::Stack,
        4 => Resource::Core,
        6 => Resource::Nproc,
        7 => Resource::Nofile,
        8 => Resource::Memlock,
        9 => Resource::As,
        _ => return Err(Errno::INVAL),
    };
    let value = |number: u64| Some(number).filter(|&number| number != UNLIMITED);
    let limit = Rlimit { current: value(limit.soft), maximum: value(limit.hard) };
    rustix::process::setrlimit(resource, limit)
}

/// The PATH of the new environment, not our own; POSIX leaves a missing one open, we find nothing.
fn search_path(spec: &Spec) -> &OsStr {
    let path = spec.env.iter().find(|(name, _)| name == "PATH");
    path.map_or(OsStr::new("/nonexistent"), |(_, value)| value)
}

/// Returns only if it failed. A file without a known format is a script for /bin/sh, as in a shell;
/// glibc's execvp does the same by itself, musl's does not.
fn execute(program: &Path, spec: &Spec) -> Errno {
    let run = |command: &mut Command| {
        errno_of(command.args(&spec.argv[1..]).env_clear().envs(spec.env.iter().cloned()).exec())
    };
    match run(Command::new(program).arg0(&spec.argv[0])) {
        Errno::NOEXEC => run(Command::new("/bin/sh").arg(program)),
        errno => errno,
    }
}

fn errno_of(error: std::io::Error) -> Errno {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return Errno::PIPE;
    }
    Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
}
