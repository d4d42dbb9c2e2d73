//! An input read as a series of choices: so what mutates bytes mutates structures, which get
//! further than bytes do.

/// What is left of an input; behind its end every choice is the first one.
pub(crate) struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        let wide = if n > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (wide | usize::from(self.byte())) % n
    }

    /// Seldom true, and never behind the end.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Numbers that decoders get wrong, and small ones.
    pub(crate) fn number(&mut self) -> u64 {
        match self.below(12) {
            0 => 1 << 63,
            1 => u64::MAX,
            2 => u64::from(u32::MAX) + u64::from(self.byte()) - 128,
            3 => (1 << 47) + u64::from(self.byte()) - 128,
            4 => 65536 - 2 + self.below(5) as u64,
            5 => 4096 - 2 + self.below(5) as u64,
            _ => u64::from(self.byte()),
        }
    }
}
