//! What the daemon tells the launcher, as bytes: argv, environment and paths are not text. The
//! other end is `packages/exec/src/launch-spec.ts`. All numbers are little-endian; `bytes` is a u32
//! length and the bytes; `list` is a u32 count and that many `bytes`.
//!
//! ```text
//! u32   length of what follows
//! u8    version (1)
//! u8    stdio: 0 = pipes, 1 = pipes with an empty standard input, 2 = terminal
//! u16   columns, u16 rows        (terminal)
//! u32   umask
//! list  argv
//! list  environment, "NAME=value"
//! bytes working directory
//! bytes cgroup.procs to enter, empty for none
//! u32   count of limits, each: u32 resource (RLIMIT_*), u64 soft, u64 hard
//! ```

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

pub const VERSION: u8 = 1;
/// Larger than any argv and environment that the kernel takes.
pub const MAX_LENGTH: usize = 16 << 20;
/// "No limit" in a limit's soft or hard value.
pub const UNLIMITED: u64 = u64::MAX;

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Stdio {
    Pipes { stdin: bool },
    Terminal { cols: u16, rows: u16 },
}

#[derive(Debug, PartialEq, Eq)]
pub struct Limit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    pub stdio: Stdio,
    pub umask: u32,
    pub argv: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    pub cwd: OsString,
    pub cgroup: Option<OsString>,
    pub limits: Vec<Limit>,
}

/// The message is no specification (another version, cut short, or bytes left over).
#[derive(Debug, PartialEq, Eq)]
pub struct BadSpec;

impl Spec {
    /// Decodes everything after the length.
    pub fn decode(message: &[u8]) -> Result<Spec, BadSpec> {
        let mut input = Input { rest: message };
        if input.u8()? != VERSION {
            return Err(BadSpec);
        }
        let stdio = input.stdio()?;
        let umask = input.u32()?;
        let argv = input.list()?;
        let env = input.list()?.into_iter().map(split_variable).collect::<Result<_, _>>()?;
        let cwd = input.bytes()?;
        let cgroup = Some(input.bytes()?).filter(|path| !path.is_empty());
        let limits = (0..input.u32()?).map(|_| input.limit()).collect::<Result<_, _>>()?;
        if !input.rest.is_empty() || argv.is_empty() {
            return Err(BadSpec);
        }
        Ok(Spec { stdio, umask, argv, env, cwd, cgroup, limits })
    }
}

fn split_variable(variable: OsString) -> Result<(OsString, OsString), BadSpec> {
    let mut name = variable.into_vec();
    let equals = name.iter().position(|&byte| byte == b'=').ok_or(BadSpec)?;
    let value = name.split_off(equals + 1);
    name.truncate(equals);
    Ok((OsString::from_vec(name), OsString::from_vec(value)))
}

struct Input<'a> {
    rest: &'a [u8],
}

impl Input<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadSpec> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(BadSpec)?;
        self.rest = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, BadSpec> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, BadSpec> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, BadSpec> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, BadSpec> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<OsString, BadSpec> {
        let length = self.u32()? as usize;
        let (head, rest) = self.rest.split_at_checked(length).ok_or(BadSpec)?;
        self.rest = rest;
        Ok(OsString::from_vec(head.to_vec()))
    }

    fn list(&mut self) -> Result<Vec<OsString>, BadSpec> {
        (0..self.u32()?).map(|_| self.bytes()).collect()
    }

    fn stdio(&mut self) -> Result<Stdio, BadSpec> {
        let kind = self.u8()?;
        let (cols, rows) = (self.u16()?, self.u16()?);
        match kind {
            0 => Ok(Stdio::Pipes { stdin: true }),
            1 => Ok(Stdio::Pipes { stdin: false }),
            2 => Ok(Stdio::Terminal { cols, rows }),
            _ => Err(BadSpec),
        }
    }

    fn limit(&mut self) -> Result<Limit, BadSpec> {
        Ok(Limit { resource: self.u32()?, soft: self.u64()?, hard: self.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut out = vec![VERSION, 2];
        out.extend(80u16.to_le_bytes());
        out.extend(24u16.to_le_bytes());
        out.extend(0o22u32.to_le_bytes());
        let bytes = |out: &mut Vec<u8>, value: &[u8]| {
            out.extend((value.len() as u32).to_le_bytes());
            out.extend(value);
        };
        out.extend(2u32.to_le_bytes());
        bytes(&mut out, b"ls");
        bytes(&mut out, b"\xff\n");
        out.extend(1u32.to_le_bytes());
        bytes(&mut out, b"A=b=c");
        bytes(&mut out, b"/");
        bytes(&mut out, b"");
        out.extend(1u32.to_le_bytes());
        out.extend(7u32.to_le_bytes());
        out.extend(10u64.to_le_bytes());
        out.extend(UNLIMITED.to_le_bytes());
        out
    }

    #[test]
    fn decodes_every_field() {
        let spec = Spec::decode(&sample()).unwrap();
        assert_eq!(spec.stdio, Stdio::Terminal { cols: 80, rows: 24 });
        assert_eq!(spec.umask, 0o22);
        assert_eq!(spec.argv[1].as_encoded_bytes(), b"\xff\n");
        assert_eq!(spec.env, [("A".into(), "b=c".into())]);
        assert_eq!(spec.cwd, "/");
        assert_eq!(spec.cgroup, None);
        assert_eq!(spec.limits, [Limit { resource: 7, soft: 10, hard: UNLIMITED }]);
    }

    #[test]
    fn refuses_every_truncation_and_trailing_bytes() {
        let whole = sample();
        for length in 0..whole.len() {
            assert_eq!(Spec::decode(&whole[..length]), Err(BadSpec), "length {length}");
        }
        let mut longer = whole;
        longer.push(0);
        assert_eq!(Spec::decode(&longer), Err(BadSpec));
    }

    #[test]
    fn refuses_an_empty_argv_and_a_count_beyond_the_message() {
        let mut empty = vec![VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        empty.extend([0; 20]);
        assert_eq!(Spec::decode(&empty), Err(BadSpec));
        empty[10..14].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Spec::decode(&empty), Err(BadSpec));
    }
}
