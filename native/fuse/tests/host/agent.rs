//! A child process that does single system calls on a host mount when told to, and keeps files
//! open, mapped or as its working directory in between.
//!
//! It reads commands line by line and answers each with one line that begins with `@`: what was
//! asked for, or `E` and an error number.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::harness::{Host, LIMIT, role};

/// The test's end of an agent.
pub struct Agent {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl Agent {
    /// One whose working directory is outside of the mount.
    pub fn start() -> Agent {
        Agent::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut std::process::Command)) -> Agent {
        let mut command = role("agent", &[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // libtest prints lines of its own, one of them without an end.
                if let Some((_, answer)) = line.split_once('@') {
                    let _ = send.send(answer.to_owned());
                }
            }
        });
        let agent = Agent { child, stdin, answers };
        assert_eq!(agent.answer(), "ready");
        agent
    }

    /// One whose working directory is the mount root.
    pub fn inside(host: &Host) -> Agent {
        let mut agent = Agent::start();
        assert_eq!(agent.ask(&format!("chdir {}", host.path().display())), "ok");
        agent
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn tell(&mut self, command: &str) {
        writeln!(self.stdin, "{command}").unwrap();
    }

    /// The answer to the oldest command that has none yet.
    pub fn answer(&self) -> String {
        self.answers.recv_timeout(LIMIT).expect("the agent hangs or died")
    }

    /// The same, if it comes in time.
    pub fn answer_within(&self, limit: std::time::Duration) -> Option<String> {
        self.answers.recv_timeout(limit).ok()
    }

    /// Whether the oldest command that has none yet gets no answer for so long.
    pub fn is_waiting(&self, so_long: std::time::Duration) -> bool {
        self.answers.recv_timeout(so_long).is_err()
    }

    pub fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.answer()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How events are told.
const EVENTS: [(ReadFlags, &str); 10] = [
    (ReadFlags::CREATE, "+"),
    (ReadFlags::DELETE, "-"),
    (ReadFlags::MODIFY, "~"),
    (ReadFlags::CLOSE_WRITE, "close"),
    (ReadFlags::ATTRIB, "@"),
    (ReadFlags::DELETE_SELF, "gone"),
    (ReadFlags::IGNORED, "ignored"),
    (ReadFlags::MOVED_FROM, "from"),
    (ReadFlags::MOVED_TO, "to"),
    (ReadFlags::QUEUE_OVERFLOW, "overflow"),
];

struct Mapping {
    address: *mut u8,
    len: usize,
}

#[derive(Default)]
struct State {
    files: HashMap<String, File>,
    mapping: Option<Mapping>,
    inotify: Option<OwnedFd>,
    /// What is watched, by watch descriptor.
    watched: HashMap<i32, String>,
}

/// The child's side.
pub fn run() -> ! {
    println!("@ready");
    let mut state = State::default();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        match state.obey(words[0], &words[1..]) {
            Ok(answer) => println!("@{answer}"),
            Err(error) => println!("@E{}", error.raw_os_error().unwrap_or(0)),
        }
    }
    std::process::exit(0);
}

impl State {
    fn obey(&mut self, command: &str, args: &[&str]) -> io::Result<String> {
        let arg = |n: usize| args.get(n).copied().unwrap_or_default();
        let number = |n: usize| arg(n).parse::<u64>().expect("a number");
        let ok = || "ok".to_owned();
        Ok(match command {
            "chdir" => std::env::set_current_dir(arg(0)).map(|()| ok())?,
            "stat" => describe(&fs::metadata(arg(0))?),
            "read" => String::from_utf8_lossy(&fs::read(arg(0))?).trim_end().to_owned(),
            "list" => list(arg(0))?,
            "create" => File::create_new(arg(0)).map(|_| ok())?,
            "mkdir" => fs::create_dir(arg(0)).map(|()| ok())?,
            "flood" => flood(arg(0), number(1) as usize),
            "statfs" => statfs(arg(0)).map(|()| ok())?,
            "open" => {
                let file = OpenOptions::new().read(true).write(true).open(arg(1))?;
                self.files.insert(arg(0).to_owned(), file);
                ok()
            }
            "fsync" => self.files[arg(0)].sync_all().map(|()| ok())?,
            "fsyncdir" => File::open(arg(0))?.sync_all().map(|()| ok())?,
            "close" => self.files.remove(arg(0)).map(|_| ok()).unwrap(),
            "fstat" => describe(&self.files[arg(0)].metadata()?),
            "pread" => {
                let mut bytes = vec![0; number(2) as usize];
                let len = self.files[arg(0)].read_at(&mut bytes, number(1))?;
                String::from_utf8_lossy(&bytes[..len]).trim_end().to_owned()
            }
            "pwrite" => {
                self.files[arg(0)].write_all_at(arg(2).as_bytes(), number(1)).map(|()| ok())?
            }
            "seek" => self.seek(arg(0), number(1), arg(2))?.to_string(),
            "map" => self.map(arg(0), number(1) as usize).map(|()| ok())?,
            "protect" => self.mapping().protect().map(|()| ok())?,
            "unmap" => self.mapping.take().unwrap().unmap().map(|()| ok())?,
            "store" => {
                self.mapping().slice()[number(0) as usize..][..arg(1).len()]
                    .copy_from_slice(arg(1).as_bytes());
                ok()
            }
            "load" => {
                let bytes = &self.mapping().slice()[number(0) as usize..][..number(1) as usize];
                String::from_utf8_lossy(bytes).into_owned()
            }
            "watch" => self.watch(arg(0)).map(|()| ok())?,
            "events" => self.events()?,
            // Page faults, none of them on a file.
            "touch" => vec![1u8; 1 << 20].leak().len().to_string(),
            "hide" => not_dumpable().map(|()| ok())?,
            "fork-headless" => self.fork_headless(number(0) as usize, arg(1))?,
            _ => panic!("no command {command}"),
        })
    }

    // The next data or hole from there on.
    fn seek(&self, file: &str, offset: u64, what: &str) -> io::Result<i64> {
        let whence = if what == "data" { libc::SEEK_DATA } else { libc::SEEK_HOLE };
        // SAFETY: the descriptor is open; nothing else is passed but numbers.
        let at = unsafe { libc::lseek(self.files[file].as_raw_fd(), offset as i64, whence) };
        if at < 0 { Err(io::Error::last_os_error()) } else { Ok(at) }
    }

    fn watch(&mut self, path: &str) -> io::Result<()> {
        if self.inotify.is_none() {
            self.inotify = Some(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?);
        }
        let quiet = WatchFlags::ACCESS | WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE;
        let inotify = self.inotify.as_ref().expect("an inotify descriptor");
        let wd = inotify::add_watch(inotify, path, WatchFlags::ALL_EVENTS - quiet)?;
        self.watched.insert(wd, path.to_owned());
        Ok(())
    }

    // What has happened since the last time, in order: "+d a/b,~ a/c".
    fn events(&mut self) -> io::Result<String> {
        let mut buffer = [MaybeUninit::uninit(); 65536];
        let mut reader = inotify::Reader::new(self.inotify.as_ref().unwrap(), &mut buffer);
        let mut all = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::AGAIN) => return Ok(all.join(",")),
                Err(error) => return Err(error.into()),
            };
            let kind = event.events();
            let sign = EVENTS.iter().find(|(flag, _)| kind.contains(*flag)).map_or("?", |e| e.1);
            let about_it = ReadFlags::DELETE_SELF | ReadFlags::IGNORED;
            let is_dir = kind.contains(ReadFlags::ISDIR) && !kind.intersects(about_it);
            let dir = if is_dir { "d" } else { "" };
            let path = self.watched.get(&event.wd()).map_or("?", String::as_str);
            let name = event.file_name().map(|name| format!("/{}", name.to_string_lossy()));
            all.push(format!("{sign}{dir} {path}{}", name.unwrap_or_default()));
        }
    }

    fn mapping(&mut self) -> &mut Mapping {
        self.mapping.as_mut().expect("a mapping")
    }

    // A child process that stores to the mapping and whose first thread then ends, and with it what
    // /proc/PID/maps shows; a second one keeps the mapping. This process gives it up before.
    fn fork_headless(&mut self, offset: usize, text: &str) -> io::Result<String> {
        let (go, went) = (io::pipe()?, io::pipe()?);
        // SAFETY: the child calls no more than reads, writes, one thread start and the exit of a
        // thread; glibc keeps its allocator usable after fork.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let mut byte = [0];
            (&go.0).read_exact(&mut byte).unwrap();
            self.mapping().slice()[offset..][..text.len()].copy_from_slice(text.as_bytes());
            std::thread::spawn(|| std::thread::sleep(LIMIT));
            (&went.1).write_all(&byte).unwrap();
            // SAFETY: ends this thread only and never returns.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        self.mapping.take().unwrap().unmap()?;
        (&go.1).write_all(b"x")?;
        (&went.0).read_exact(&mut [0])?;
        Ok(pid.to_string())
    }

    fn map(&mut self, file: &str, len: usize) -> io::Result<()> {
        let file = &self.files[file];
        // SAFETY: a new shared mapping of an open file; the kernel chooses the address.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        self.mapping = Some(Mapping { address: address.cast(), len });
        Ok(())
    }
}

impl Mapping {
    fn slice(&mut self) -> &mut [u8] {
        // SAFETY: `address` and `len` are those of a live mapping that only this thread uses;
        // that the server changes the bytes is what the tests look for.
        unsafe { std::slice::from_raw_parts_mut(self.address, self.len) }
    }

    fn protect(&self) -> io::Result<()> {
        // SAFETY: the range is that of a live mapping; it is only read afterwards.
        check(unsafe { libc::mprotect(self.address.cast(), self.len, libc::PROT_READ) })
    }

    fn unmap(self) -> io::Result<()> {
        // SAFETY: the range is that of a live mapping, which nobody uses afterwards.
        check(unsafe { libc::munmap(self.address.cast(), self.len) })
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn describe(meta: &fs::Metadata) -> String {
    format!("{:o} size={} nlink={}", meta.mode(), meta.size(), meta.nlink())
}

fn list(path: &str) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(","))
}

// Lists so many directories at once, numbered from 0; how often each outcome came.
fn flood(prefix: &str, count: usize) -> String {
    let one = |n: usize| {
        let path = format!("{prefix}{n}");
        let start = std::thread::Builder::new().stack_size(128 << 10);
        start.spawn(move || list(&path).map_or_else(|e| e.raw_os_error().unwrap_or(0), |_| 0))
    };
    let threads: Vec<_> = (0..count).map(|n| one(n).unwrap()).collect();
    let mut outcomes = std::collections::BTreeMap::<i32, usize>::new();
    for thread in threads {
        *outcomes.entry(thread.join().unwrap()).or_default() += 1;
    }
    let told: Vec<_> = outcomes.iter().map(|(errno, count)| format!("E{errno}x{count}")).collect();
    told.join(",")
}

fn statfs(path: &str) -> io::Result<()> {
    let path = CString::new(path).unwrap();
    // SAFETY: a zeroed statvfs is a valid one; the path ends in a NUL.
    check(unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        libc::statvfs(path.as_ptr(), &mut stat)
    })
}

// From now on only root sees what this process maps.
fn not_dumpable() -> io::Result<()> {
    // SAFETY: prctl with integers only.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })
}
