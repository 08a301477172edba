//! Memory that only starting needed.

#![allow(unsafe_code, reason = "dl_iterate_phdr(3) and madvise(2) have no safe wrapper")]

use std::ffi::c_void;

/// Gives back what only starting needed, to be called once when a process serves: heap that is
/// free, and pages of the program's own code and constants. Those that are used again come back
/// from the program's file, 16 at a time, without being read anew as long as the kernel has them.
pub fn settle() {
    crate::process::trim_heap();
    // SAFETY: dl_iterate_phdr(3) calls `forget` before it returns, with what it is declared for.
    unsafe { libc::dl_iterate_phdr(Some(forget), std::ptr::null_mut()) };
}

/// Forgets the first object there is, the program itself. Never unwinds.
// SAFETY: only dl_iterate_phdr(3) calls it, with an object that is loaded.
unsafe extern "C" fn forget(
    object: *mut libc::dl_phdr_info,
    _size: usize,
    _data: *mut c_void,
) -> i32 {
    // SAFETY: dl_iterate_phdr(3) hands over an object that lives as long as this call, and its
    // program headers, which stay loaded as long as the object is.
    let (object, headers) = unsafe {
        let object = &*object;
        if object.dlpi_phdr.is_null() {
            return 1;
        }
        (object, std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)))
    };
    // SAFETY: sysconf(3) may always be called.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Ok(page) = usize::try_from(page) else { return 1 };
    if page == 0 {
        return 1;
    }
    for header in headers {
        let writable = header.p_flags & libc::PF_W != 0;
        if header.p_type != libc::PT_LOAD || writable {
            continue;
        }
        let from = usize::try_from(object.dlpi_addr.wrapping_add(header.p_vaddr));
        let (Ok(from), Ok(long)) = (from, usize::try_from(header.p_filesz)) else { continue };
        // Whole pages alone: those at both ends may be shared with what can be written.
        let (first, end) = (from.next_multiple_of(page), (from + long) / page * page);
        if first < end {
            // SAFETY: these pages are mapped from the program's file and were never written to, so
            // that their content is the file's: whoever reads them next finds the same.
            unsafe {
                let at = std::ptr::with_exposed_provenance_mut::<c_void>(first);
                libc::madvise(at, end - first, libc::MADV_DONTNEED);
            }
        }
    }
    // No other object: libraries are shared with other programs.
    1
}
