//! Requests from bytes: every length and name is checked here, once, before an operation sees it.
//!
//! `decode` takes any bytes whatever (it is fuzzed) and never panics.

use crate::abi::{
    Abi, AccessIn, BatchForgetIn, COMPAT_SETXATTR_IN_SIZE, CopyFileRangeIn, CreateIn, FallocateIn,
    Field, ForgetIn, ForgetOne, GetxattrIn, InHeader, InitIn, IoctlIn, LinkIn, LseekIn, MkdirIn,
    MknodIn, ReadIn, Rename2In, RenameIn, SetattrIn, SetxattrIn, StatxIn, WriteIn, op,
};

/// One request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Who asks, about which node.
    pub header: InHeader,
    /// What.
    pub op: Op<'a>,
}

/// What is asked, with its arguments. Names hold no NUL and are not empty.
#[derive(Debug)]
pub enum Op<'a> {
    Lookup(&'a [u8]),
    Forget(u64),
    BatchForget(Forgets<'a>),
    Getattr,
    Setattr(SetattrIn),
    Readlink,
    Symlink {
        name: &'a [u8],
        target: &'a [u8],
    },
    Mknod(MknodIn, &'a [u8]),
    Mkdir(MkdirIn, &'a [u8]),
    Unlink(&'a [u8]),
    Rmdir(&'a [u8]),
    Rename {
        name: &'a [u8],
        new_dir: u64,
        new_name: &'a [u8],
        flags: u32,
    },
    Link {
        node: u64,
        name: &'a [u8],
    },
    Open,
    Read(ReadIn),
    Write(WriteIn, &'a [u8]),
    Statfs,
    Release,
    Fsync,
    Setxattr {
        name: &'a [u8],
        value: &'a [u8],
        flags: u32,
    },
    Getxattr {
        name: &'a [u8],
        size: u32,
    },
    Listxattr {
        size: u32,
    },
    Removexattr(&'a [u8]),
    Flush,
    Init(InitIn),
    Opendir,
    Readdir(ReadIn),
    Readdirplus(ReadIn),
    Releasedir,
    Fsyncdir,
    Access(u32),
    Create(CreateIn, &'a [u8]),
    Tmpfile(CreateIn),
    Interrupt,
    Destroy,
    Ioctl(IoctlIn, &'a [u8]),
    Fallocate(FallocateIn),
    Lseek(LseekIn),
    CopyFileRange {
        arg: CopyFileRangeIn,
        wide: bool,
    },
    Syncfs,
    Statx,
    /// Anything else: ENOSYS.
    Other,
}

/// The nodes of a BATCH_FORGET.
#[derive(Clone, Debug)]
pub struct Forgets<'a>(&'a [u8]);

impl Iterator for Forgets<'_> {
    type Item = ForgetOne;

    fn next(&mut self) -> Option<ForgetOne> {
        let one = ForgetOne::decode(self.0)?;
        self.0 = &self.0[ForgetOne::SIZE..];
        Some(one)
    }
}

/// Bytes that are no request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Not even a header, or one whose length is not that of the bytes: nobody to answer.
    Header,
    /// The arguments are short or hold no proper name; the request can be answered with EIO.
    Arguments(InHeader),
}

/// The bytes of a request as they arrived: in one piece, or with what follows the structure of
/// the operation in a buffer of its own.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    head: &'a [u8],
    fixed: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A request in one piece.
    pub fn whole(bytes: &'a [u8]) -> Frame<'a> {
        let (head, fixed) = bytes.split_at(bytes.len().min(InHeader::SIZE));
        Frame { head, fixed, rest: &[] }
    }

    /// A request in three pieces: header, structure of the operation, names and data.
    pub fn pieces(head: &'a [u8], fixed: &'a [u8], rest: &'a [u8]) -> Frame<'a> {
        Frame { head, fixed, rest }
    }

    /// The header, if there is a whole one.
    pub fn header(&self) -> Option<InHeader> {
        InHeader::decode(self.head)
    }

    /// Bytes of all of it.
    pub fn len(&self) -> usize {
        self.head.len() + self.fixed.len() + self.rest.len()
    }

    // The arguments, less so many bytes at the end.
    fn arguments(&self, less: usize) -> Option<Cursor<'a>> {
        let from_rest = less.min(self.rest.len());
        let rest = &self.rest[..self.rest.len() - from_rest];
        let fixed = &self.fixed[..self.fixed.len().checked_sub(less - from_rest)?];
        Some(if fixed.is_empty() { Cursor(rest, &[]) } else { Cursor(fixed, rest) })
    }
}

/// What is left of the arguments: nothing in it lies across the two pieces.
struct Cursor<'a>(&'a [u8], &'a [u8]);

impl<'a> Cursor<'a> {
    fn advance(&mut self, len: usize) {
        self.0 = &self.0[len..];
        if self.0.is_empty() {
            self.0 = std::mem::take(&mut self.1);
        }
    }

    fn take<T: Abi>(&mut self) -> Option<T> {
        let value = T::decode(self.0)?;
        self.advance(T::SIZE);
        Some(value)
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.0.get(..len)?;
        self.advance(len);
        Some(taken)
    }

    // Up to a NUL, which is dropped.
    fn name(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let name = &self.0[..end];
        self.advance(end + 1);
        (!name.is_empty()).then_some(name)
    }
}

/// Takes a request apart. `long_setxattr`: whether FUSE_SETXATTR_EXT was agreed upon.
pub fn decode(frame: Frame<'_>, long_setxattr: bool) -> Result<Request<'_>, Malformed> {
    let header = frame.header().ok_or(Malformed::Header)?;
    if header.len as usize != frame.len() {
        return Err(Malformed::Header);
    }
    // Extensions (security context, groups) come last; none is asked for at INIT.
    let extensions = usize::from(header.total_extlen) * 8;
    let arguments = frame.arguments(extensions).ok_or(Malformed::Arguments(header))?;
    match decode_op(header.opcode, arguments, long_setxattr) {
        Some(op) => Ok(Request { header, op }),
        None => Err(Malformed::Arguments(header)),
    }
}

/// Whether bytes are a well-formed request; for fuzzing from outside of this crate.
#[doc(hidden)]
pub fn is_request(bytes: &[u8]) -> bool {
    match decode(Frame::whole(bytes), true) {
        Ok(Request { op: Op::BatchForget(list), .. }) => list.count() > 0,
        Ok(_) => true,
        Err(_) => false,
    }
}

fn decode_op(opcode: u32, mut args: Cursor<'_>, long_setxattr: bool) -> Option<Op<'_>> {
    Some(match opcode {
        op::LOOKUP => Op::Lookup(args.name()?),
        op::FORGET => Op::Forget(args.take::<ForgetIn>()?.nlookup),
        op::BATCH_FORGET => {
            let count = args.take::<BatchForgetIn>()?.count as usize;
            Op::BatchForget(Forgets(args.bytes(count.checked_mul(ForgetOne::SIZE)?)?))
        }
        op::GETATTR => Op::Getattr,
        op::SETATTR => Op::Setattr(args.take()?),
        op::READLINK => Op::Readlink,
        op::SYMLINK => Op::Symlink { name: args.name()?, target: args.name()? },
        op::MKNOD => Op::Mknod(args.take()?, args.name()?),
        op::MKDIR => Op::Mkdir(args.take()?, args.name()?),
        op::UNLINK => Op::Unlink(args.name()?),
        op::RMDIR => Op::Rmdir(args.name()?),
        op::RENAME => {
            let new_dir = args.take::<RenameIn>()?.newdir;
            Op::Rename { new_dir, name: args.name()?, new_name: args.name()?, flags: 0 }
        }
        op::RENAME2 => {
            let Rename2In { newdir: new_dir, flags, .. } = args.take()?;
            Op::Rename { new_dir, name: args.name()?, new_name: args.name()?, flags }
        }
        op::LINK => Op::Link { node: args.take::<LinkIn>()?.oldnodeid, name: args.name()? },
        op::OPEN => Op::Open,
        op::READ => Op::Read(args.take()?),
        op::WRITE => {
            let arg: WriteIn = args.take()?;
            Op::Write(arg, args.bytes(arg.size as usize)?)
        }
        op::STATFS => Op::Statfs,
        op::RELEASE => Op::Release,
        op::FSYNC => Op::Fsync,
        op::SETXATTR => setxattr(args, long_setxattr)?,
        op::GETXATTR => {
            let size = args.take::<GetxattrIn>()?.size;
            Op::Getxattr { size, name: args.name()? }
        }
        op::LISTXATTR => Op::Listxattr { size: args.take::<GetxattrIn>()?.size },
        op::REMOVEXATTR => Op::Removexattr(args.name()?),
        op::FLUSH => Op::Flush,
        op::INIT => Op::Init(init(args)?),
        op::OPENDIR => Op::Opendir,
        op::READDIR => Op::Readdir(args.take()?),
        op::READDIRPLUS => Op::Readdirplus(args.take()?),
        op::RELEASEDIR => Op::Releasedir,
        op::FSYNCDIR => Op::Fsyncdir,
        op::ACCESS => Op::Access(args.take::<AccessIn>()?.mask),
        op::CREATE => Op::Create(args.take()?, args.name()?),
        op::TMPFILE => Op::Tmpfile(args.take()?),
        op::INTERRUPT => Op::Interrupt,
        op::DESTROY => Op::Destroy,
        op::IOCTL => {
            let arg: IoctlIn = args.take()?;
            Op::Ioctl(arg, args.bytes(arg.in_size as usize)?)
        }
        op::FALLOCATE => Op::Fallocate(args.take()?),
        op::LSEEK => Op::Lseek(args.take()?),
        op::COPY_FILE_RANGE => Op::CopyFileRange { arg: args.take()?, wide: false },
        op::COPY_FILE_RANGE_64 => Op::CopyFileRange { arg: args.take()?, wide: true },
        op::SYNCFS => Op::Syncfs,
        op::STATX => {
            args.take::<StatxIn>()?;
            Op::Statx
        }
        _ => Op::Other,
    })
}

fn setxattr(mut args: Cursor<'_>, long: bool) -> Option<Op<'_>> {
    let size = if long { SetxattrIn::SIZE } else { COMPAT_SETXATTR_IN_SIZE };
    let fixed = args.bytes(size)?;
    let (value_size, flags) = (u32::get(fixed), u32::get(&fixed[4..]));
    Some(Op::Setxattr { name: args.name()?, value: args.bytes(value_size as usize)?, flags })
}

// Kernels before 7.36 send the first 16 bytes only.
fn init(mut args: Cursor<'_>) -> Option<InitIn> {
    let mut whole = [0; InitIn::SIZE];
    let len = args.0.len().min(InitIn::SIZE);
    if len < 8 {
        return None;
    }
    whole[..len].copy_from_slice(args.bytes(len)?);
    Some(InitIn::get(&whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(opcode: u32, extensions: u16, arguments: &[&[u8]]) -> Vec<u8> {
        let len = InHeader::SIZE + arguments.iter().map(|part| part.len()).sum::<usize>();
        let mut bytes = Vec::new();
        let header = InHeader {
            len: len as u32,
            opcode,
            unique: 7,
            nodeid: 1,
            total_extlen: extensions,
            ..InHeader::default()
        };
        header.append(&mut bytes);
        arguments.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    fn bytes_of<T: Abi>(value: T) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.append(&mut bytes);
        bytes
    }

    #[test]
    fn names_and_payloads_are_found() {
        let bytes = request(op::SYMLINK, 0, &[b"a\0", b"b/c\0"]);
        let Op::Symlink { name, target } = decode(Frame::whole(&bytes), true).unwrap().op else {
            panic!()
        };
        assert_eq!((name, target), (&b"a"[..], &b"b/c"[..]));

        let write = bytes_of(WriteIn { size: 3, offset: 9, ..WriteIn::default() });
        let bytes = request(op::WRITE, 0, &[&write, b"xyz"]);
        let Op::Write(arg, data) = decode(Frame::whole(&bytes), true).unwrap().op else { panic!() };
        assert_eq!((arg.offset, data), (9, &b"xyz"[..]));

        let long = bytes_of(SetxattrIn { size: 1, flags: 2, ..SetxattrIn::default() });
        for (fixed, ext) in [(&long[..], true), (&long[..8], false)] {
            let bytes = request(op::SETXATTR, 0, &[fixed, b"user.k\0", b"v"]);
            let Op::Setxattr { name, value, flags } = decode(Frame::whole(&bytes), ext).unwrap().op
            else {
                panic!()
            };
            assert_eq!((name, value, flags), (&b"user.k"[..], &b"v"[..], 2));
        }

        let forget = bytes_of(BatchForgetIn { count: 2, dummy: 0 });
        let ones = bytes_of(ForgetOne { nodeid: 5, nlookup: 1 }).repeat(2);
        let bytes = request(op::BATCH_FORGET, 0, &[&forget, &ones]);
        let Op::BatchForget(list) = decode(Frame::whole(&bytes), true).unwrap().op else {
            panic!()
        };
        assert_eq!(list.count(), 2);
    }

    #[test]
    fn a_request_in_pieces_says_the_same() {
        let write = bytes_of(WriteIn { size: 3, offset: 9, ..WriteIn::default() });
        let cases: &[(u32, u16, &[u8], &[u8])] = &[
            (op::WRITE, 0, &write, b"xyz"),
            (op::LOOKUP, 0, b"", b"name\0"),
            (op::LOOKUP, 1, b"", b"name\0extended"),
            (op::RENAME, 0, &7u64.to_ne_bytes(), b"from\0to\0"),
            (op::SETATTR, 0, &[1; 88], b""),
            (op::STATFS, 0, b"", b""),
            (op::WRITE, 0, &write, b"xy"),
            (op::LOOKUP, 9, b"", b"name\0"),
        ];
        for (opcode, extensions, fixed, rest) in cases {
            let bytes = request(*opcode, *extensions, &[fixed, rest]);
            let frame = Frame::pieces(&bytes[..InHeader::SIZE], fixed, rest);
            let whole = format!("{:?}", decode(Frame::whole(&bytes), true));
            assert_eq!(format!("{:?}", decode(frame, true)), whole);
        }
        let frame = Frame::pieces(&[], &[], &[]);
        assert_eq!(decode(frame, true).unwrap_err(), Malformed::Header);
    }

    #[test]
    fn extensions_are_cut_off() {
        let bytes = request(op::LOOKUP, 1, &[b"name\0", b"12345678"]);
        assert!(matches!(decode(Frame::whole(&bytes), true).unwrap().op, Op::Lookup(b"name")));
        let bytes = request(op::LOOKUP, 9, &[b"name\0"]);
        assert!(matches!(decode(Frame::whole(&bytes), true), Err(Malformed::Arguments(_))));
    }

    #[test]
    fn short_or_nameless_requests_are_refused() {
        let lookup = request(op::LOOKUP, 0, &[b"name\0"]);
        assert_eq!(decode(Frame::whole(&lookup[..39]), true).unwrap_err(), Malformed::Header);
        assert_eq!(decode(Frame::whole(&lookup[..42]), true).unwrap_err(), Malformed::Header);
        let cases: &[(u32, &[&[u8]])] = &[
            (op::LOOKUP, &[b"name"]),
            (op::LOOKUP, &[b"\0"]),
            (op::SYMLINK, &[b"a\0", b"b"]),
            (op::SETATTR, &[&[0; 87]]),
            (op::WRITE, &[&bytes_of(WriteIn { size: 4, ..WriteIn::default() }), b"abc"]),
            (op::BATCH_FORGET, &[&[255; 8]]),
            (op::SETXATTR, &[&[255; 16], b"n\0"]),
            (op::INIT, &[&[0; 7]]),
        ];
        for (opcode, arguments) in cases {
            let bytes = request(*opcode, 0, arguments);
            assert!(
                matches!(decode(Frame::whole(&bytes), true), Err(Malformed::Arguments(_))),
                "{opcode}"
            );
        }
    }

    // A cheap stand-in for the fuzz target: every opcode with arguments cut off anywhere.
    #[test]
    fn no_bytes_make_it_panic() {
        let mut seed = 1u32;
        for opcode in 0..60 {
            for len in 0..160 {
                let arguments: Vec<u8> = (0..len)
                    .map(|_| {
                        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                        if seed >> 31 == 0 { 0 } else { (seed >> 24) as u8 }
                    })
                    .collect();
                let bytes = request(opcode, (seed >> 29) as u16, &[&arguments]);
                if let Ok(Request { op: Op::BatchForget(list), .. }) =
                    decode(Frame::whole(&bytes), len % 2 == 0)
                {
                    assert!(list.count() * ForgetOne::SIZE <= len);
                }
            }
        }
    }
}
