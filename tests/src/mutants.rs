//! Files that are no functions, from a seed: noise, and real components with something wrong.
//! Whatever takes a component must take these without harm.

use std::path::Path;

use crate::binary::component;
use crate::random::Random;

/// What a component begins with, and what a core module does.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Makes hostile files, the same for the same seed.
pub struct Mutants {
    random: Random,
    real: Vec<Vec<u8>>,
}

impl Mutants {
    /// Of a seed, out of the components of some crates.
    pub fn new(seed: u64, crates: &[&str]) -> Self {
        let read = |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let real = crates.iter().map(|name| read(&component(name))).collect();
        Self { random: Random::new(seed), real }
    }

    /// A number from 0 up to but not including `end`.
    fn below(&mut self, end: usize) -> usize {
        self.random.between(0, end as i64 - 1) as usize
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.random.number() as u8).collect()
    }

    fn any_real(&mut self) -> Vec<u8> {
        let at = self.below(self.real.len());
        self.real[at].clone()
    }

    /// A byte string that is no component: noise alone or behind a beginning that promises more,
    /// sections of noise, a component that is cut off, two that are grown together.
    pub fn random_bytes(&mut self) -> Vec<u8> {
        let length = self.below(2_000);
        match self.below(10) {
            0..3 => self.noise(length),
            3..5 => [COMPONENT, &self.noise(length)].concat(),
            5 => [MODULE, &self.noise(length)].concat(),
            6..8 => self.sections(),
            8 => {
                let mut cut = self.any_real();
                let end = self.below(cut.len());
                cut.truncate(end);
                cut
            }
            _ => {
                let (first, second) = (self.any_real(), self.any_real());
                let (end, start) = (self.below(first.len()), self.below(second.len()));
                [&first[..end], &second[start..]].concat()
            }
        }
    }

    /// A component of sections that are told rightly and hold noise.
    fn sections(&mut self) -> Vec<u8> {
        let mut bytes = COMPONENT.to_vec();
        for _ in 0..=self.below(6) {
            bytes.push(self.below(13) as u8);
            let length = self.below(120);
            bytes.push(length as u8);
            bytes.extend(self.noise(length));
        }
        bytes
    }

    /// A real component with one to four things changed.
    pub fn mutant(&mut self) -> Vec<u8> {
        let mut bytes = self.any_real();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = self.below(bytes.len());
        match self.below(7) {
            0..2 => bytes[at] ^= 1 << self.below(8),
            2 => bytes[at] = self.random.number() as u8,
            // Lengths and counts are LEB128: longer by a byte, or as long as they can be.
            3 => {
                let at =
                    bytes[at..].iter().position(|byte| byte & 0x80 != 0).map_or(at, |n| at + n);
                let longest: &[u8] = b"\xff\xff\xff\xff\x0f";
                match self.below(2) {
                    0 => bytes[at] ^= 0x80,
                    _ => drop(bytes.splice(at..at + 1, longest.iter().copied())),
                }
            }
            4 => {
                let end = (at + 1 + self.below(200)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let end = (at + 1 + self.below(200)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            // Near the beginning are the types and the names.
            _ => {
                let at = self.below(bytes.len().min(2_000));
                bytes[at] = bytes[at].wrapping_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same() {
        let make = |seed| {
            let mut mutants =
                Mutants { random: Random::new(seed), real: vec![COMPONENT.repeat(9), vec![7; 99]] };
            let all = (0..50).flat_map(|_| [mutants.random_bytes(), mutants.mutant()]);
            all.collect::<Vec<_>>()
        };
        assert_eq!(make(3), make(3));
        assert_ne!(make(3), make(4));
    }
}
