//! The kernel's FUSE protocol, version 7.45: structures, opcodes and flags.
//!
//! Structures are taken from and put into bytes field by field, so nothing here is `unsafe`;
//! `abi/tests.rs` checks that this is the same as their layout in C.

/// Protocol version spoken.
pub const KERNEL_VERSION: u32 = 7;
/// Newest minor version spoken.
pub const KERNEL_MINOR: u32 = 45;
/// Oldest minor version spoken (7.12 added notifications).
pub const OLDEST_MINOR: u32 = 12;

/// A value with a fixed place in a structure of the protocol (host byte order).
pub trait Field: Sized {
    /// Bytes it takes.
    const SIZE: usize;
    /// Takes it from the first `SIZE` bytes.
    fn get(bytes: &[u8]) -> Self;
    /// Puts it into the first `SIZE` bytes.
    fn put(&self, bytes: &mut [u8]);
}

macro_rules! integer_fields {
    ($($type:ty)*) => { $(
        impl Field for $type {
            const SIZE: usize = size_of::<$type>();
            #[inline]
            fn get(bytes: &[u8]) -> $type {
                let mut raw = [0; size_of::<$type>()];
                raw.copy_from_slice(&bytes[..Self::SIZE]);
                <$type>::from_ne_bytes(raw)
            }
            #[inline]
            fn put(&self, bytes: &mut [u8]) {
                bytes[..Self::SIZE].copy_from_slice(&self.to_ne_bytes());
            }
        }
    )* };
}
integer_fields!(u8 u16 u32 u64 i32 i64);

impl<T: Field + Copy + Default, const N: usize> Field for [T; N] {
    const SIZE: usize = T::SIZE * N;
    #[inline]
    fn get(bytes: &[u8]) -> [T; N] {
        let mut all = [T::default(); N];
        for (n, slot) in all.iter_mut().enumerate() {
            *slot = T::get(&bytes[n * T::SIZE..]);
        }
        all
    }
    #[inline]
    fn put(&self, bytes: &mut [u8]) {
        for (n, value) in self.iter().enumerate() {
            value.put(&mut bytes[n * T::SIZE..]);
        }
    }
}

/// A structure of the protocol.
pub trait Abi: Field {
    /// Its name in linux/fuse.h.
    #[cfg(test)]
    const C_NAME: &'static str;
    /// Its fields: name and offset.
    #[cfg(test)]
    const FIELDS: &'static [(&'static str, usize)];

    /// Takes it from the front of `bytes`, which may be longer; `None` if they are too short.
    #[inline]
    fn decode(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::SIZE).then(|| Self::get(bytes))
    }

    /// Appends it.
    #[inline]
    fn append(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.resize(at + Self::SIZE, 0);
        self.put(&mut out[at..]);
    }
}

macro_rules! structures {
    ($($(#[$doc:meta])* $name:ident = $c_name:literal {
        $($field:ident: $type:ty,)*
    })*) => { $(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $(pub $field: $type,)* }

        impl Field for $name {
            const SIZE: usize = size_of::<$name>();
            #[inline]
            fn get(bytes: &[u8]) -> $name {
                let bytes = &bytes[..Self::SIZE];
                $name {
                    $($field: <$type as Field>::get(
                        &bytes[std::mem::offset_of!($name, $field)..],
                    ),)*
                }
            }
            #[inline]
            fn put(&self, bytes: &mut [u8]) {
                let bytes = &mut bytes[..Self::SIZE];
                $(self.$field.put(&mut bytes[std::mem::offset_of!($name, $field)..]);)*
            }
        }

        impl Abi for $name {
            #[cfg(test)]
            const C_NAME: &'static str = $c_name;
            #[cfg(test)]
            const FIELDS: &'static [(&'static str, usize)] = &[
                $((stringify!($field), std::mem::offset_of!($name, $field)),)*
            ];
        }

        // Fields leave no gap, so that field-wise encoding sets every byte.
        const _: () = assert!(size_of::<$name>() == 0 $(+ <$type as Field>::SIZE)*);
    )* };
}

structures! {
    /// Attributes of an inode.
    Attr = "fuse_attr" {
        ino: u64, size: u64, blocks: u64, atime: u64, mtime: u64, ctime: u64,
        atimensec: u32, mtimensec: u32, ctimensec: u32, mode: u32, nlink: u32,
        uid: u32, gid: u32, rdev: u32, blksize: u32, flags: u32,
    }
    /// STATFS.
    Kstatfs = "fuse_kstatfs" {
        blocks: u64, bfree: u64, bavail: u64, files: u64, ffree: u64,
        bsize: u32, namelen: u32, frsize: u32, padding: u32, spare: [u32; 6],
    }
    /// Heads every request.
    InHeader = "fuse_in_header" {
        len: u32, opcode: u32, unique: u64, nodeid: u64, uid: u32, gid: u32, pid: u32,
        total_extlen: u16, padding: u16,
    }
    /// Heads every reply and notification.
    OutHeader = "fuse_out_header" { len: u32, error: i32, unique: u64, }
    /// A name and what it means.
    EntryOut = "fuse_entry_out" {
        nodeid: u64, generation: u64, entry_valid: u64, attr_valid: u64,
        entry_valid_nsec: u32, attr_valid_nsec: u32, attr: Attr,
    }
    /// Attributes and how long they hold.
    AttrOut = "fuse_attr_out" {
        attr_valid: u64, attr_valid_nsec: u32, dummy: u32, attr: Attr,
    }
    /// FORGET.
    ForgetIn = "fuse_forget_in" { nlookup: u64, }
    /// One of BATCH_FORGET.
    ForgetOne = "fuse_forget_one" { nodeid: u64, nlookup: u64, }
    /// BATCH_FORGET.
    BatchForgetIn = "fuse_batch_forget_in" { count: u32, dummy: u32, }
    /// GETATTR.
    GetattrIn = "fuse_getattr_in" { getattr_flags: u32, dummy: u32, fh: u64, }
    /// MKNOD.
    MknodIn = "fuse_mknod_in" { mode: u32, rdev: u32, umask: u32, padding: u32, }
    /// MKDIR.
    MkdirIn = "fuse_mkdir_in" { mode: u32, umask: u32, }
    /// RENAME.
    RenameIn = "fuse_rename_in" { newdir: u64, }
    /// RENAME2.
    Rename2In = "fuse_rename2_in" { newdir: u64, flags: u32, padding: u32, }
    /// LINK.
    LinkIn = "fuse_link_in" { oldnodeid: u64, }
    /// SETATTR.
    SetattrIn = "fuse_setattr_in" {
        valid: u32, padding: u32, fh: u64, size: u64, lock_owner: u64,
        atime: u64, mtime: u64, ctime: u64, atimensec: u32, mtimensec: u32, ctimensec: u32,
        mode: u32, unused4: u32, uid: u32, gid: u32, unused5: u32,
    }
    /// OPEN and OPENDIR.
    OpenIn = "fuse_open_in" { flags: u32, open_flags: u32, }
    /// CREATE and TMPFILE.
    CreateIn = "fuse_create_in" { flags: u32, mode: u32, umask: u32, open_flags: u32, }
    /// OPEN, OPENDIR, second part of CREATE and TMPFILE.
    OpenOut = "fuse_open_out" { fh: u64, open_flags: u32, padding: u32, }
    /// RELEASE and RELEASEDIR.
    ReleaseIn = "fuse_release_in" { fh: u64, flags: u32, release_flags: u32, lock_owner: u64, }
    /// FLUSH.
    FlushIn = "fuse_flush_in" { fh: u64, unused: u32, padding: u32, lock_owner: u64, }
    /// READ, READDIR and READDIRPLUS.
    ReadIn = "fuse_read_in" {
        fh: u64, offset: u64, size: u32, read_flags: u32, lock_owner: u64,
        flags: u32, padding: u32,
    }
    /// WRITE.
    WriteIn = "fuse_write_in" {
        fh: u64, offset: u64, size: u32, write_flags: u32, lock_owner: u64,
        flags: u32, padding: u32,
    }
    /// WRITE and COPY_FILE_RANGE.
    WriteOut = "fuse_write_out" { size: u32, padding: u32, }
    /// FSYNC and FSYNCDIR.
    FsyncIn = "fuse_fsync_in" { fh: u64, fsync_flags: u32, padding: u32, }
    /// SETXATTR (with FUSE_SETXATTR_EXT; without it only the first two fields).
    SetxattrIn = "fuse_setxattr_in" {
        size: u32, flags: u32, setxattr_flags: u32, padding: u32,
    }
    /// GETXATTR and LISTXATTR.
    GetxattrIn = "fuse_getxattr_in" { size: u32, padding: u32, }
    /// The length of an attribute or of the list.
    GetxattrOut = "fuse_getxattr_out" { size: u32, padding: u32, }
    /// ACCESS.
    AccessIn = "fuse_access_in" { mask: u32, padding: u32, }
    /// INIT (flags2 from 7.36, all 64 bytes with FUSE_INIT_EXT).
    InitIn = "fuse_init_in" {
        major: u32, minor: u32, max_readahead: u32, flags: u32, flags2: u32, unused: [u32; 11],
    }
    /// INIT: 24 bytes of it before 7.23.
    InitOut = "fuse_init_out" {
        major: u32, minor: u32, max_readahead: u32, flags: u32,
        max_background: u16, congestion_threshold: u16, max_write: u32, time_gran: u32,
        max_pages: u16, map_alignment: u16, flags2: u32, max_stack_depth: u32,
        request_timeout: u16, unused: [u16; 11],
    }
    /// INTERRUPT.
    InterruptIn = "fuse_interrupt_in" { unique: u64, }
    /// FALLOCATE.
    FallocateIn = "fuse_fallocate_in" {
        fh: u64, offset: u64, length: u64, mode: u32, padding: u32,
    }
    /// LSEEK.
    LseekIn = "fuse_lseek_in" { fh: u64, offset: u64, whence: u32, padding: u32, }
    /// LSEEK.
    LseekOut = "fuse_lseek_out" { offset: u64, }
    /// IOCTL; `in_size` bytes follow.
    IoctlIn = "fuse_ioctl_in" {
        fh: u64, flags: u32, cmd: u32, arg: u64, in_size: u32, out_size: u32,
    }
    /// IOCTL; what was asked for follows.
    IoctlOut = "fuse_ioctl_out" { result: i32, flags: u32, in_iovs: u32, out_iovs: u32, }
    /// COPY_FILE_RANGE and COPY_FILE_RANGE_64.
    CopyFileRangeIn = "fuse_copy_file_range_in" {
        fh_in: u64, off_in: u64, nodeid_out: u64, fh_out: u64, off_out: u64, len: u64, flags: u64,
    }
    /// COPY_FILE_RANGE_64 (7.45).
    CopyFileRangeOut = "fuse_copy_file_range_out" { bytes_copied: u64, }
    /// Heads a directory entry; the name follows, padded to eight bytes.
    Dirent = "fuse_dirent" { ino: u64, off: u64, namelen: u32, kind: u32, }
    /// STATX (7.39).
    StatxIn = "fuse_statx_in" {
        getattr_flags: u32, reserved: u32, fh: u64, sx_flags: u32, sx_mask: u32,
    }
    /// A time in STATX.
    SxTime = "fuse_sx_time" { tv_sec: i64, tv_nsec: u32, reserved: i32, }
    /// Attributes in STATX.
    Statx = "fuse_statx" {
        mask: u32, blksize: u32, attributes: u64, nlink: u32, uid: u32, gid: u32, mode: u16,
        spare0: u16, ino: u64, size: u64, blocks: u64, attributes_mask: u64,
        atime: SxTime, btime: SxTime, ctime: SxTime, mtime: SxTime,
        rdev_major: u32, rdev_minor: u32, dev_major: u32, dev_minor: u32, spare2: [u64; 14],
    }
    /// STATX (7.39).
    StatxOut = "fuse_statx_out" {
        attr_valid: u64, attr_valid_nsec: u32, flags: u32, spare: [u64; 2], stat: Statx,
    }
    /// FUSE_NOTIFY_INVAL_INODE.
    NotifyInvalInode = "fuse_notify_inval_inode_out" { ino: u64, off: i64, len: i64, }
    /// FUSE_NOTIFY_INVAL_ENTRY; the name follows with its NUL.
    NotifyInvalEntry = "fuse_notify_inval_entry_out" { parent: u64, namelen: u32, flags: u32, }
    /// FUSE_NOTIFY_STORE; the bytes follow.
    NotifyStore = "fuse_notify_store_out" { nodeid: u64, offset: u64, size: u32, padding: u32, }
    /// FUSE_NOTIFY_PRUNE (7.45); the node ids follow.
    NotifyPrune = "fuse_notify_prune_out" { count: u32, padding: u32, spare: u64, }
    /// Rings (7.42): what belongs to one request beside the structures of its operation.
    RingEntInOut = "fuse_uring_ent_in_out" {
        flags: u64, commit_id: u64, payload_sz: u32, padding: u32, reserved: u64,
    }
    /// Rings (7.42): the buffer of headers; `in_out` begins with that of the request, then with
    /// that of the reply, `op_in` with the structure of the operation.
    RingReqHeader = "fuse_uring_req_header" {
        in_out: [u64; 16], op_in: [u64; 16], ring_ent_in_out: RingEntInOut,
    }
    /// Rings (7.42): behind the fixed part of a 128-byte submission.
    RingCmdReq = "fuse_uring_cmd_req" {
        flags: u64, commit_id: u64, qid: u16, padding: [u8; 6],
    }
}

macro_rules! opcodes {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// What a request asks for.
        #[allow(dead_code, reason = "the protocol's whole table")]
        pub mod op {
            $(#[doc = $text] pub const $name: u32 = $code;)*
        }

        /// The name of an opcode in lower case, `None` for those this bridge does not know.
        pub const fn op_name(opcode: u32) -> Option<&'static str> {
            match opcode { $($code => Some($text),)* _ => None }
        }

        /// Every opcode with its name in linux/fuse.h less `FUSE_`.
        #[cfg(test)]
        pub const OPCODES: &[(&str, u32)] = &[$((stringify!($name), $code),)*];
    };
}

opcodes! {
    LOOKUP = 1, "lookup";
    FORGET = 2, "forget";
    GETATTR = 3, "getattr";
    SETATTR = 4, "setattr";
    READLINK = 5, "readlink";
    SYMLINK = 6, "symlink";
    MKNOD = 8, "mknod";
    MKDIR = 9, "mkdir";
    UNLINK = 10, "unlink";
    RMDIR = 11, "rmdir";
    RENAME = 12, "rename";
    LINK = 13, "link";
    OPEN = 14, "open";
    READ = 15, "read";
    WRITE = 16, "write";
    STATFS = 17, "statfs";
    RELEASE = 18, "release";
    FSYNC = 20, "fsync";
    SETXATTR = 21, "setxattr";
    GETXATTR = 22, "getxattr";
    LISTXATTR = 23, "listxattr";
    REMOVEXATTR = 24, "removexattr";
    FLUSH = 25, "flush";
    INIT = 26, "init";
    OPENDIR = 27, "opendir";
    READDIR = 28, "readdir";
    RELEASEDIR = 29, "releasedir";
    FSYNCDIR = 30, "fsyncdir";
    GETLK = 31, "getlk";
    SETLK = 32, "setlk";
    SETLKW = 33, "setlkw";
    ACCESS = 34, "access";
    CREATE = 35, "create";
    INTERRUPT = 36, "interrupt";
    BMAP = 37, "bmap";
    DESTROY = 38, "destroy";
    IOCTL = 39, "ioctl";
    POLL = 40, "poll";
    NOTIFY_REPLY = 41, "notify_reply";
    BATCH_FORGET = 42, "batch_forget";
    FALLOCATE = 43, "fallocate";
    READDIRPLUS = 44, "readdirplus";
    RENAME2 = 45, "rename2";
    LSEEK = 46, "lseek";
    COPY_FILE_RANGE = 47, "copy_file_range";
    SETUPMAPPING = 48, "setupmapping";
    REMOVEMAPPING = 49, "removemapping";
    SYNCFS = 50, "syncfs";
    TMPFILE = 51, "tmpfile";
    STATX = 52, "statx";
    COPY_FILE_RANGE_64 = 53, "copy_file_range_64";
}

/// Opcodes lie below this.
pub const OPCODE_LIMIT: usize = 64;

macro_rules! flags {
    ($(#[$doc:meta])* $module:ident: $type:ty { $($name:ident = $bit:literal;)* }) => {
        $(#[$doc])*
        pub mod $module {
            $(pub const $name: $type = 1 << $bit;)*

            /// Every flag with its name.
            #[cfg(test)]
            pub const ALL: &[(&str, u64)] = &[$((stringify!($name), $name as u64),)*];
        }
    };
}

flags! {
    /// INIT flags (from bit 32 in flags2).
    init: u64 {
        ASYNC_READ = 0;
        EXPORT_SUPPORT = 4;
        BIG_WRITES = 5;
        DO_READDIRPLUS = 13;
        READDIRPLUS_AUTO = 14;
        ASYNC_DIO = 15;
        WRITEBACK_CACHE = 16;
        NO_OPEN_SUPPORT = 17;
        PARALLEL_DIROPS = 18;
        MAX_PAGES = 22;
        CACHE_SYMLINKS = 23;
        NO_OPENDIR_SUPPORT = 24;
        EXPLICIT_INVAL_DATA = 25;
        HANDLE_KILLPRIV_V2 = 28;
        SETXATTR_EXT = 29;
        INIT_EXT = 30;
        HAS_RESEND = 39;
        OVER_IO_URING = 41;
    }
}

flags! {
    /// SETATTR: which fields are valid.
    fattr: u32 {
        MODE = 0;
        UID = 1;
        GID = 2;
        SIZE = 3;
        ATIME = 4;
        MTIME = 5;
        FH = 6;
        ATIME_NOW = 7;
        MTIME_NOW = 8;
        CTIME = 10;
        KILL_SUIDGID = 11;
    }
}

/// WRITE flag: written back from the page cache.
pub const WRITE_CACHE: u32 = 1 << 0;
/// WRITE flag: clear set-user-id and set-group-id bits.
pub const WRITE_KILL_SUIDGID: u32 = 1 << 2;
/// OPEN flag of a reply: keep the page cache.
pub const FOPEN_KEEP_CACHE: u32 = 1 << 1;
/// OPEN flag of a reply: no FLUSH at close.
pub const FOPEN_NOFLUSH: u32 = 1 << 5;

/// Notification: attributes or pages of an inode changed.
pub const NOTIFY_INVAL_INODE: i32 = 2;
/// Notification: a name changed its meaning.
pub const NOTIFY_INVAL_ENTRY: i32 = 3;
/// Notification: these bytes of a file, which becomes as long as they reach.
pub const NOTIFY_STORE: i32 = 4;
/// Notification (7.45): inodes of which the kernel is to keep nothing that nobody uses.
pub const NOTIFY_PRUNE: i32 = 9;
/// Rings: hands the kernel a pair of buffers, to wait for a request in.
pub const RING_REGISTER: u32 = 1;
/// Rings: the buffers hold a reply; wait for the next request in them.
pub const RING_COMMIT_AND_FETCH: u32 = 2;

/// Bytes of an INIT reply to kernels before 7.23.
pub const COMPAT_22_INIT_OUT_SIZE: usize = 24;
/// Bytes of SETXATTR's structure without FUSE_SETXATTR_EXT.
pub const COMPAT_SETXATTR_IN_SIZE: usize = 8;

#[cfg(test)]
mod tests;
