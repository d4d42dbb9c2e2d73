//! Whether a new host mount answers: a helper process asks it, from every CPU, because this process
//! must not.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long all CPUs together may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks the mount at `path`; the reason if it does not answer as it should.
pub(crate) fn probe(helper: &Path, path: &Path) -> Result<(), String> {
    let child = Command::new(helper)
        .arg("probe")
        .arg(path)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| format!("the helper could not be started: {error}"))?;
    match wait(&mut child, LIMIT) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("a trial of the mount failed ({status})")),
        None => {
            // It ends when the connection does; somebody has to collect it then.
            let _ = child.kill();
            std::thread::spawn(move || child.wait());
            Err("the mount gave no answer".to_owned())
        }
    }
}

/// Its exit, if that comes within the limit.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    while Instant::now() < end {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => std::thread::sleep(pause),
            Err(_) => return None,
        }
        pause = (pause * 2).min(Duration::from_millis(5));
    }
    None
}
