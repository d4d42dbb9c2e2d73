//! What only the io_uring transport has: entries that run out, rings that cannot be made or do not
//! work. Everything else it is to do runs in the other tests, with DEVDEV_TRANSPORT=io_uring.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use devdev_fuse::{MountOptions, Transport};
use devdev_vfs::{Errno, NeedKey};

use crate::agent::Agent;
use crate::harness::{
    Host, LIMIT, SOON, can_mount, can_switch_on, eventually, helper, scratch_path, script, uid,
    usable_cpus,
};
use crate::parking::{Slow, list_snapshots};
use crate::serving::Server;

const MKDIR: u32 = 9;
/// More than a queue has entries at the start.
const MANY: usize = 30;

fn over_rings(choose: impl FnOnce(&mut MountOptions)) -> Option<Host> {
    if !can_mount() || !can_switch_on() {
        return None;
    }
    Host::with(|options| {
        options.transport = Transport::IoUring;
        options.helper = Some(helper());
        choose(options);
    })
}

// All requests of such an agent go to one queue.
pub fn agent_on_one_cpu(host: &Host) -> Agent {
    agent_on_cpu(host, usable_cpus()[0])
}

fn agent_on_cpu(host: &Host, cpu: usize) -> Agent {
    let mut agent = Agent::start_with(|command| {
        // SAFETY: between fork and exec only one system call is made, on a local variable.
        unsafe { command.pre_exec(move || bind(cpu)) };
    });
    assert_eq!(agent.ask(&format!("chdir {}", host.path().display())), "ok");
    agent
}

// Binds the calling thread, and what it starts, to a CPU.
fn bind(cpu: usize) -> std::io::Result<()> {
    // SAFETY: a zeroed set is an empty one; the call only reads it.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn asked_for(loader: &Slow) -> usize {
    let mut keys = loader.0.lock().unwrap().clone();
    keys.sort_by_key(|key| format!("{key:?}"));
    keys.dedup_by_key(|key| format!("{key:?}"));
    keys.len()
}

fn answer_all(host: &Host, loader: &Slow) {
    for key in loader.0.lock().unwrap().drain(..) {
        assert!(matches!(key, NeedKey::Snapshot(_)));
        host.vfs.fail_need(&key, Errno::Io);
    }
}

// S33.
#[test]
fn more_requests_wait_than_a_queue_has_entries() {
    // The worker of the queue waits in here until everybody has asked: the entries run out, and
    // requests pile up behind them.
    let (held, entered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (holds, enters) = (held.clone(), entered.clone());
    let blocks = move |opcode, _| {
        if opcode == MKDIR {
            enters.fetch_add(1, Ordering::SeqCst);
            eventually(LIMIT, || !holds.load(Ordering::SeqCst));
        }
    };
    let Some(host) = over_rings(|options| {
        options.hook = Some(Arc::new(blocks));
    }) else {
        return;
    };
    let loader = list_snapshots(&host, MANY);
    let mut agents: Vec<Agent> = (0..MANY).map(|_| agent_on_one_cpu(&host)).collect();
    let mut first = agent_on_one_cpu(&host);
    for round in 0..3 {
        held.store(true, Ordering::SeqCst);
        first.tell(&format!("mkdir d{round}"));
        assert!(eventually(SOON, || entered.load(Ordering::SeqCst) == round + 1));
        for (n, agent) in agents.iter_mut().enumerate() {
            agent.tell(&format!("list .devdev/snapshots/s{n}"));
        }
        assert!(first.is_waiting(Duration::from_millis(300)));
        held.store(false, Ordering::SeqCst);
        assert!(!first.answer().starts_with('E'));
        // Nobody asks for anything else, so nothing else can set them going.
        let all = eventually(SOON, || asked_for(&loader) == MANY);
        assert!(all, "round {round}: {} of {MANY} were served", asked_for(&loader));
        assert!(agents[0].is_waiting(Duration::from_millis(100)));
        let start = Instant::now();
        assert!(!first.ask("list .").starts_with('E'));
        assert!(start.elapsed() < Duration::from_secs(10));
        answer_all(&host, &loader);
        for agent in &agents {
            assert_eq!(agent.answer(), "E5");
        }
    }
}

// S33.
#[test]
fn beyond_the_bound_the_answer_is_ebusy() {
    const BOUND: usize = 12;
    let Some(host) = over_rings(|options| options.spares = BOUND) else { return };
    let loader = list_snapshots(&host, MANY);
    let mut agents: Vec<Agent> = (0..MANY).map(|_| agent_on_one_cpu(&host)).collect();
    for (n, agent) in agents.iter_mut().enumerate() {
        agent.tell(&format!("list .devdev/snapshots/s{n}"));
    }
    let mut waiting: Vec<&Agent> = agents.iter().collect();
    let refused = |agent: &Agent| match agent.answer_within(Duration::from_millis(10)) {
        Some(answer) => answer == "E16",
        None => false,
    };
    eventually(SOON, || {
        waiting.retain(|agent| !refused(agent));
        waiting.len() <= BOUND
    });
    assert!(waiting.iter().all(|agent| agent.is_waiting(Duration::from_millis(50))));
    assert_eq!(waiting.len(), BOUND);
    assert!(host.logged("too many requests wait"));
    assert_eq!(host.sh("echo x > f; cat f; rm f"), "x\n");
    answer_all(&host, &loader);
    waiting.iter().for_each(|agent| assert_eq!(agent.answer(), "E5"));
    // Whoever comes now may wait again.
    agents[0].tell("list .devdev/snapshots/s0");
    assert!(agents[0].is_waiting(Duration::from_millis(300)));
    answer_all(&host, &loader);
    assert_eq!(agents[0].answer(), "E5");
}

// S33: those who use a mount need not run where its daemon does (`taskset`).
#[test]
fn a_bridge_that_is_kept_off_a_cpu_has_spares_for_it() {
    // What is bound is only this thread, and what it starts.
    std::thread::spawn(wait_on_a_cpu_that_the_bridge_is_kept_off).join().unwrap();
}

fn wait_on_a_cpu_that_the_bridge_is_kept_off() {
    let [cpu, other_cpu, ..] = usable_cpus()[..] else {
        eprintln!("SKIPPED: there is no second CPU");
        return;
    };
    bind(other_cpu).unwrap();
    let Some(host) = over_rings(|_| {}) else { return };
    let loader = list_snapshots(&host, MANY);
    let mut agents: Vec<Agent> = (0..MANY).map(|_| agent_on_cpu(&host, cpu)).collect();
    for round in 0..2 {
        for (n, agent) in agents.iter_mut().enumerate() {
            agent.tell(&format!("list .devdev/snapshots/s{n}"));
        }
        let all = eventually(SOON, || asked_for(&loader) == MANY);
        assert!(all, "round {round}: {} of {MANY} were served", asked_for(&loader));
        assert!(agents.iter().all(|agent| agent.is_waiting(Duration::from_millis(20))));
        assert_eq!(agent_on_cpu(&host, cpu).ask("mkdir d"), ["ok", "E17"][round]);
        answer_all(&host, &loader);
        agents.iter().for_each(|agent| assert_eq!(agent.answer(), "E5"));
    }
    assert!(!host.logged("may not run on CPU"), "{:?}", host.log);
}

#[test]
fn refused_ones_are_told_ebusy() {
    let Some(host) = over_rings(|options| options.spares = 0) else { return };
    list_snapshots(&host, 1);
    let mut agent = Agent::inside(&host);
    assert_eq!(agent.ask("list .devdev/snapshots/s0"), "E16");
    assert_eq!(agent.ask("list ."), "");
}

#[test]
fn rings_that_do_not_answer_are_replaced() {
    if !can_mount() || !can_switch_on() {
        return;
    }
    for (probe, reason) in [("exit 1", "a trial of the mount failed"), ("sleep 60", "no answer")] {
        let script = script(&format!(
            "#!/bin/sh\n[ \"$1\" = probe ] && {probe} && exit 1\nexec '{}' \"$@\"\n",
            helper().display()
        ));
        let ended = Arc::new(AtomicBool::new(false));
        let noted = ended.clone();
        let host = Host::mount_with(|options| {
            options.transport = Transport::IoUring;
            options.helper = Some(script.clone());
            options.on_end = Some(Arc::new(move |_| {
                noted.store(true, Ordering::Relaxed);
            }));
        });
        assert_eq!(host.session.transport(), Transport::Classic);
        assert!(host.logged(reason), "{:?}", host.log);
        assert_eq!(host.sh("echo x > f; cat f"), "x\n");
        assert!(!ended.load(Ordering::Relaxed));
        host.session.unmount(false).unwrap();
        assert!(ended.load(Ordering::Relaxed));
        assert!(!host.path().exists());
        std::fs::remove_file(&script).unwrap();
    }
}

#[test]
fn without_io_uring_the_mount_is_classic() {
    if !can_mount() || !can_switch_on() {
        return;
    }
    if uid() != 0 {
        eprintln!("SKIPPED: with a filter of system calls users cannot mount");
        return;
    }
    for errno in [libc::ENOSYS, libc::EPERM, libc::ENOMEM] {
        let path = scratch_path();
        let change = move |command: &mut Command| {
            command.env("DEVDEV_TRANSPORT", "io_uring");
            // SAFETY: between fork and exec only system calls are made, on local variables.
            unsafe { command.pre_exec(move || refuse_io_uring(errno)) };
        };
        let mut server = Server::start_with(&path, "unwatched", None, change);
        assert_eq!(server.ask("transport"), "Classic");
        let mut agent = Agent::start();
        assert_eq!(agent.ask(&format!("list {}", path.display())), "");
        drop(server);
        assert!(devdev_fuse::clear_dead_mount(&path).unwrap());
        std::fs::remove_dir(&path).unwrap();
    }
}

// A filter of system calls, as containers have one.
fn refuse_io_uring(errno: i32) -> std::io::Result<()> {
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let filter = [
        // The number of the call, at the beginning of seccomp_data.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            libc::SYS_io_uring_setup as u32,
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program and its filter live until the calls return.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[test]
fn an_unmount_by_force_ends_busy_rings() {
    let Some(host) = over_rings(|_| {}) else { return };
    let script =
        "n=0; while echo x > f$0.$n && cat f$0.$n && rm f$0.$n; do n=$((n+1)); done; exit 1";
    let mut busy: Vec<_> = (0..4)
        .map(|n| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("cd \"$M\" && {script}"), &n.to_string()]);
            command.env("M", host.path()).stdout(std::process::Stdio::null());
            command.stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    assert!(eventually(Duration::from_secs(60), || host.count("unlink") > 100));
    let start = Instant::now();
    host.session.unmount(true).unwrap();
    assert!(start.elapsed() < Duration::from_secs(8));
    for child in &mut busy {
        assert!(!crate::harness::wait_limited(child));
    }
}
