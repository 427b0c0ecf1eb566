//! The allocator of functions: lists of free blocks, one for each size class.
//!
//! A call takes a few thousand blocks, most of them small, and gives nearly all of them back before
//! the next call takes the same again. For that Rust's allocator on this target, dlmalloc, looks
//! too hard: it joins neighbours that the next call takes apart. Here a block of a class stays one,
//! and taking or giving one back is a handful of instructions. Classes are a quarter of a power of
//! two apart, so a fifth of a block is lost at most (Evans, A Scalable Concurrent malloc
//! Implementation for FreeBSD, 2006). What is larger than the largest class goes to dlmalloc.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

/// All blocks are aligned to so many bytes; what wants more goes to the system's allocator.
const ALIGN: usize = 16;

/// Up to this size classes are `ALIGN` apart.
const FINE_MAX: usize = 4 * ALIGN;

/// The size of the largest class.
const BLOCK_MAX: usize = 256 << 10;

/// Classes up to `FINE_MAX`, then four for each power of two.
const CLASSES: usize = 4 + 4 * (BLOCK_MAX / FINE_MAX).ilog2() as usize;

/// Blocks up to this size are cut from chunks; larger ones are taken from the system one by one.
const CUT_MAX: usize = 4 << 10;

/// How much is taken from the system at once to be cut.
const CHUNK: usize = 64 << 10;

/// The class of a size from 1 to `BLOCK_MAX`.
#[inline]
fn class_of(size: usize) -> usize {
    if size <= FINE_MAX {
        return (size - 1) / ALIGN;
    }
    // Four steps lie between 2^power, which is less than the size, and the next power of two.
    let power = (size - 1).ilog2() as usize;
    let step = ((size - 1) >> (power - 2)) & 3;
    4 + 4 * (power - FINE_MAX.ilog2() as usize) + step
}

/// The size of the blocks of a class.
#[inline]
fn size_of(class: usize) -> usize {
    if class < 4 {
        return (class + 1) * ALIGN;
    }
    let (power, step) = ((class - 4) / 4, (class - 4) % 4);
    (FINE_MAX / 4 * (5 + step)) << power
}

/// A block that nobody has. It lies in the block itself.
struct Free {
    next: *mut Free,
}

/// An allocator for one thread, which is all that a function has.
pub(crate) struct Allocator(UnsafeCell<Heap>);

struct Heap {
    /// The first free block of each class.
    free: [*mut Free; CLASSES],
    /// What is left of the chunk that is being cut.
    chunk: *mut u8,
    left: usize,
}

// SAFETY: a component has one thread; the only shared instance is the one of such a component.
unsafe impl Sync for Allocator {}

impl Allocator {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Heap {
            free: [ptr::null_mut(); CLASSES],
            chunk: ptr::null_mut(),
            left: 0,
        }))
    }
}

/// The class that serves a layout, if one does. It depends on nothing else, so a block is given
/// back to the class that it came from.
#[inline]
fn class_for(layout: Layout) -> Option<usize> {
    let is_ours = layout.size() <= BLOCK_MAX && layout.align() <= ALIGN && layout.size() > 0;
    is_ours.then(|| class_of(layout.size()))
}

impl Heap {
    /// A block of a class without free ones; null if there is no memory.
    #[cold]
    fn take_new(&mut self, class: usize) -> *mut u8 {
        let size = size_of(class);
        if size > CUT_MAX {
            return system(size);
        }
        if self.left < size {
            let chunk = system(CHUNK);
            if chunk.is_null() {
                return chunk;
            }
            // What was left is smaller than the largest block that is cut, and is lost.
            (self.chunk, self.left) = (chunk, CHUNK);
        }
        let block = self.chunk;
        self.left -= size;
        // SAFETY: the chunk has at least `size` bytes left.
        self.chunk = unsafe { block.add(size) };
        block
    }
}

/// Memory of the system that is never given back; null if there is none.
fn system(size: usize) -> *mut u8 {
    let layout = Layout::from_size_align(size, ALIGN).expect("sizes of classes are small");
    // SAFETY: no size is zero.
    unsafe { System.alloc(layout) }
}

// SAFETY: blocks come from `System`, do not overlap, and have at least the size and alignment of
// the layouts that their class serves. Nothing here panics.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_for(layout) else {
            // SAFETY: the caller's layout.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: there is one thread, and nothing below comes back here.
        let heap = unsafe { &mut *self.0.get() };
        let first = heap.free[class];
        if first.is_null() {
            return heap.take_new(class);
        }
        // SAFETY: a block in a list is ours, and holds the place of the next.
        heap.free[class] = unsafe { (*first).next };
        first.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class_for(layout) else {
            // SAFETY: it came from there, with this layout.
            return unsafe { System.dealloc(block, layout) };
        };
        // SAFETY: there is one thread, and nothing below comes back here.
        let heap = unsafe { &mut *self.0.get() };
        let free = block.cast::<Free>();
        // SAFETY: the block is of this class, so it is aligned and large enough, and nobody has it
        // any more.
        unsafe { free.write(Free { next: heap.free[class] }) };
        heap.free[class] = free;
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's size is valid for the layout's alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class_for(layout), class_for(new)) {
            (Some(before), Some(after)) if before == after => return block,
            // SAFETY: it came from there, with this layout.
            (None, None) => return unsafe { System.realloc(block, layout, size) },
            _ => {}
        }
        // SAFETY: the size is not zero, as the caller promises.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both have so many bytes, and they are not the same block.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
            // SAFETY: as the caller promises.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_are_close_and_cover_all_sizes() {
        assert_eq!(size_of(CLASSES - 1), BLOCK_MAX);
        for class in 0..CLASSES {
            let size = size_of(class);
            assert_eq!((class_of(size), size % ALIGN), (class, 0), "{size}");
            let before = class.checked_sub(1).map_or(0, size_of);
            assert_eq!(class_of(before + 1), class, "{before}");
            assert!(size - before <= ALIGN.max(size / 4), "{before} to {size}");
        }
    }

    /// A block that a test has, filled with a byte of its own.
    struct Block {
        start: *mut u8,
        layout: Layout,
        fill: u8,
    }

    impl Block {
        fn of(allocator: &Allocator, layout: Layout, fill: u8) -> Self {
            // SAFETY: no test asks for nothing.
            let start = unsafe { allocator.alloc(layout) };
            let block = Self { start, layout, fill };
            block.fill();
            block
        }

        fn fill(&self) {
            assert!(!self.start.is_null());
            assert!(self.start.addr().is_multiple_of(self.layout.align()));
            // SAFETY: the block has so many bytes.
            unsafe { self.start.write_bytes(self.fill, self.layout.size()) };
        }

        fn check(&self, bytes: usize) {
            // SAFETY: so many bytes of the block have been written.
            let bytes = unsafe { std::slice::from_raw_parts(self.start, bytes) };
            assert!(bytes.iter().all(|byte| *byte == self.fill));
        }
    }

    fn size() -> impl Strategy<Value = usize> {
        prop_oneof![1_usize..200, 1_usize..9000, Just(BLOCK_MAX), Just(BLOCK_MAX + 1)]
    }

    /// Takes, gives back or resizes: which block, its size, and the power of its alignment.
    fn step() -> impl Strategy<Value = (u8, prop::sample::Index, usize, u32)> {
        (0_u8..3, any::<prop::sample::Index>(), size(), 0_u32..7)
    }

    proptest! {
        #[test]
        fn blocks_do_not_overlap_and_keep_what_is_in_them(
            steps in prop::collection::vec(step(), 1..200)
        ) {
            let allocator = Allocator::new();
            let mut blocks: Vec<Block> = Vec::new();
            for (number, (step, index, size, align)) in steps.into_iter().enumerate() {
                match (step, blocks.is_empty()) {
                    (1, false) => {
                        let block = blocks.swap_remove(index.index(blocks.len()));
                        block.check(block.layout.size());
                        // SAFETY: it is a block of this allocator.
                        unsafe { allocator.dealloc(block.start, block.layout) };
                    }
                    (2, false) => {
                        let place = index.index(blocks.len());
                        let block = &mut blocks[place];
                        // SAFETY: it is a block of this allocator.
                        block.start = unsafe { allocator.realloc(block.start, block.layout, size) };
                        block.check(size.min(block.layout.size()));
                        block.layout = Layout::from_size_align(size, block.layout.align()).unwrap();
                        block.fill();
                    }
                    _ => {
                        let layout = Layout::from_size_align(size, 1 << align).unwrap();
                        blocks.push(Block::of(&allocator, layout, number as u8));
                    }
                }
            }
            for block in blocks {
                block.check(block.layout.size());
                // SAFETY: it is a block of this allocator.
                unsafe { allocator.dealloc(block.start, block.layout) };
            }
        }
    }

    #[test]
    fn what_was_given_back_is_taken_again() {
        let allocator = Allocator::new();
        let mut seen = BTreeSet::new();
        for _ in 0..1000 {
            let layouts = [1, 40, 5000].map(|size| Layout::from_size_align(size, 8).unwrap());
            let blocks = layouts.map(|layout| Block::of(&allocator, layout, 1));
            seen.extend(blocks.iter().map(|block| block.start.addr()));
            for block in blocks {
                // SAFETY: it is a block of this allocator.
                unsafe { allocator.dealloc(block.start, block.layout) };
            }
        }
        assert_eq!(seen.len(), 3);
    }
}
