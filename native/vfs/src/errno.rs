//! The closed set of reasons for which an operation of the engine fails.

macro_rules! errnos {
    ($($variant:ident = $code:literal, $name:literal;)*) => {
        /// Why an operation failed. Numbers are Linux's; other platforms map by name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Errno { $(#[doc = $name] $variant,)* }

        impl Errno {
            /// Linux's positive number.
            pub const fn code(self) -> i32 {
                match self { $(Errno::$variant => $code,)* }
            }

            /// The name as in errno(3), for example `ENOENT`.
            pub const fn name(self) -> &'static str {
                match self { $(Errno::$variant => $name,)* }
            }
        }
    };
}

errnos! {
    Perm = 1, "EPERM";
    NoEnt = 2, "ENOENT";
    Intr = 4, "EINTR";
    Io = 5, "EIO";
    NxIo = 6, "ENXIO";
    TooBig = 7, "E2BIG";
    BadF = 9, "EBADF";
    Again = 11, "EAGAIN";
    NoMem = 12, "ENOMEM";
    Acces = 13, "EACCES";
    Busy = 16, "EBUSY";
    Exist = 17, "EEXIST";
    XDev = 18, "EXDEV";
    NoDev = 19, "ENODEV";
    NotDir = 20, "ENOTDIR";
    IsDir = 21, "EISDIR";
    Inval = 22, "EINVAL";
    NoTty = 25, "ENOTTY";
    FBig = 27, "EFBIG";
    NoSpc = 28, "ENOSPC";
    SPipe = 29, "ESPIPE";
    RoFs = 30, "EROFS";
    MLink = 31, "EMLINK";
    Range = 34, "ERANGE";
    NameTooLong = 36, "ENAMETOOLONG";
    NoSys = 38, "ENOSYS";
    NotEmpty = 39, "ENOTEMPTY";
    Loop = 40, "ELOOP";
    NoData = 61, "ENODATA";
    Overflow = 75, "EOVERFLOW";
    OpNotSupp = 95, "EOPNOTSUPP";
    TimedOut = 110, "ETIMEDOUT";
    Stale = 116, "ESTALE";
    DQuot = 122, "EDQUOT";
}

/// What an engine operation returns.
pub type Result<T> = std::result::Result<T, Errno>;
