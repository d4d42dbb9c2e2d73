//! The code and the tables of the program itself: what its start has read of them stays resident,
//! some 45 MiB of node's, of which a daemon at rest uses a few. They are pages of a file that
//! nobody has written to, so letting them go loses nothing: what is needed again is mapped again.

use std::ffi::{c_int, c_void};

/// Gives back the read-only segments of the running program. Libraries are left alone: they can
/// go while this looks at them.
pub fn give_back() {
    // SAFETY: the callback takes no data, and it has the type that dl_iterate_phdr(3) asks for.
    unsafe { libc::dl_iterate_phdr(Some(give_back_segments), std::ptr::null_mut()) };
}

// The first object is the program; a result that is not zero ends the walk.
unsafe extern "C" fn give_back_segments(
    info: *mut libc::dl_phdr_info,
    _: usize,
    _: *mut c_void,
) -> c_int {
    // SAFETY: `info` is valid for this call, and so are the headers that it counts.
    let (base, headers) = unsafe {
        let info = &*info;
        (info.dlpi_addr, std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()))
    };
    // SAFETY: takes no pointers (sysconf(3)).
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    for header in headers {
        // What relocations have written to is in a segment that may be written.
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        // Whole pages only: the one at an end may be shared with a segment that is written to.
        let start = (base + header.p_vaddr).next_multiple_of(page);
        let end = (base + header.p_vaddr + header.p_filesz) / page * page;
        if start < end {
            let len = (end - start) as usize;
            // SAFETY: the program's own image, mapped as long as the process lives, from a file
            // and read-only: a page that is dropped comes back with the same bytes.
            unsafe { libc::madvise(start as *mut c_void, len, libc::MADV_DONTNEED) };
        }
    }
    1
}
