//! The allocator of a guest: small blocks from free lists by size, all others from the standard library's.
//!
//! A handler lives for one event, in which it makes some tens of small strings and vectors.
//! Here that is a few instructions each, where a general allocator looks for neighbours to join; what is
//! freed serves the next block of its size.
//!
//! An allocator is `unsafe` by its nature. Besides the generated `bindings`, this file and `inert` hold all
//! `unsafe` of the SDK, and nothing else.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

/// What sizes are rounded up to, and the largest alignment of a small block; in bytes.
const STEP: usize = 16;
/// The largest small block, in bytes.
const MOST: usize = 512;
/// Small blocks are cut from pieces of this many bytes.
const PIECE: usize = 8 * 1024;

/// A freed block, which holds the way to the next one.
struct Free {
    next: Option<NonNull<Free>>,
}

struct Lists {
    free: [Option<NonNull<Free>>; MOST / STEP],
    /// What is left of the piece that blocks are cut from.
    at: *mut u8,
    left: usize,
}

/// The global allocator of a component.
pub(crate) struct Heap(UnsafeCell<Lists>);

// SAFETY: a guest has one thread: the engine takes no component with shared memory.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Lists { free: [None; MOST / STEP], at: ptr::null_mut(), left: 0 }))
    }
}

/// The list that blocks of this layout are in; none if it is not small. Lists hold blocks of 16, 32, … bytes.
fn list(layout: Layout) -> Option<usize> {
    (layout.size() <= MOST && layout.align() <= STEP).then(|| layout.size().saturating_sub(1) / STEP)
}

impl Lists {
    /// Null if there is no memory.
    fn take(&mut self, list: usize) -> *mut u8 {
        if let Some(block) = self.free[list] {
            // SAFETY: `give` wrote it, and nobody has had the block since.
            self.free[list] = unsafe { block.as_ref() }.next;
            return block.as_ptr().cast();
        }
        self.cut((list + 1) * STEP)
    }

    fn cut(&mut self, size: usize) -> *mut u8 {
        if self.left < size && !self.begin_piece() {
            return ptr::null_mut();
        }
        let block = self.at;
        // SAFETY: `left` bytes of the piece begin at `at`, and `size` is no more.
        self.at = unsafe { block.add(size) };
        self.left -= size;
        block
    }

    /// The end of the piece before, less than a block, is given up.
    fn begin_piece(&mut self) -> bool {
        // SAFETY: the layout is not of size 0.
        let piece = unsafe { System.alloc(PIECE_LAYOUT) };
        if !piece.is_null() {
            (self.at, self.left) = (piece, PIECE);
        }
        !piece.is_null()
    }

    /// # Safety
    /// `block` is of this list, and nobody uses it any more.
    unsafe fn give(&mut self, list: usize, block: *mut u8) {
        let Some(block) = NonNull::new(block.cast::<Free>()) else { return };
        // SAFETY: a block has 16 bytes at least, aligned to 16, and is ours now.
        unsafe { block.write(Free { next: self.free[list] }) };
        self.free[list] = Some(block);
    }
}

const PIECE_LAYOUT: Layout = match Layout::from_size_align(PIECE, STEP) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

// SAFETY: blocks of one list have its size and are aligned to 16, as pieces begin so and are cut at
// multiples; each is with one owner, or in its list, or part of what is left of a piece.
// Layouts that are not small never meet the lists.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match list(layout) {
            // SAFETY: one thread, and nothing in `take` comes back here.
            Some(list) => unsafe { &mut *self.0.get() }.take(list),
            // SAFETY: the caller's.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match list(layout) {
            // SAFETY: as above; the caller gives a block back that it got for this layout.
            Some(list) => unsafe { (*self.0.get()).give(list, block) },
            // SAFETY: the caller's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller sees to it that `size` is a valid one.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (list(layout), list(new)) {
            (Some(old), Some(new)) if old == new => block,
            // SAFETY: the caller's.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            // SAFETY: both blocks are there and are not the same.
            _ => unsafe {
                let moved = self.alloc(new);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                moved
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// A block filled with `mark`.
    fn make(heap: &Heap, size: usize, mark: u8) -> (*mut u8, Layout) {
        // SAFETY: sizes here are not 0, and as many bytes are written.
        let block = unsafe { heap.alloc(layout(size)) };
        assert!(!block.is_null() && block.addr().is_multiple_of(8));
        unsafe { block.write_bytes(mark, size) };
        (block, layout(size))
    }

    fn holds(block: *const u8, size: usize, mark: u8) -> bool {
        // SAFETY: `make` wrote as many bytes.
        unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|&byte| byte == mark)
    }

    #[test]
    fn blocks_do_not_overlap_and_are_used_again() {
        let heap = Heap::new();
        let sizes = [1, 15, 16, 17, 100, 511, 512, 513, 4_000, 20_000];
        for _round in 0..50 {
            let blocks: Vec<_> = (0..).zip(sizes).map(|(mark, size)| make(&heap, size, mark)).collect();
            for ((block, layout), mark) in blocks.iter().zip(0..) {
                assert!(holds(*block, layout.size(), mark));
                // SAFETY: it came from this heap for this layout, and is not used again.
                unsafe { heap.dealloc(*block, *layout) };
            }
        }
        let (first, layout) = make(&heap, 40, 1);
        // SAFETY: as above.
        unsafe { heap.dealloc(first, layout) };
        let (second, _) = make(&heap, 33, 2);
        assert_eq!(first, second, "33 and 40 bytes are in one list");
        unsafe { heap.dealloc(second, layout) };
    }

    #[test]
    fn a_block_that_grows_or_shrinks_keeps_its_bytes() {
        let heap = Heap::new();
        let (mut block, mut old) = make(&heap, 3, 7);
        for size in [10, 16, 17, 300, 600, 5_000, 600, 64, 3] {
            // SAFETY: it came from this heap for `old`.
            block = unsafe { heap.realloc(block, old, size) };
            assert!(holds(block, old.size().min(size), 7), "{size}");
            old = layout(size);
            // SAFETY: the block has `size` bytes now.
            unsafe { block.write_bytes(7, size) };
        }
        // SAFETY: as above.
        unsafe { heap.dealloc(block, old) };
    }
}
