//! Which of several answers to one question have ended.

/// Which of the answers that were asked for (`n`) have ended.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// One bit for each, by its index; the last stands for all from there on. OpenAI allows 128.
    begun: u128,
    over: u128,
    current: Option<Choice>,
}

#[derive(Debug, Default)]
pub(super) struct Choice {
    index: u64,
    over: bool,
}

impl Choices {
    /// Takes the index of the current one: 0 if it is not said.
    pub(super) const fn index(&mut self, index: u64) {
        if let Some(choice) = &mut self.current {
            choice.index = index;
        }
    }

    /// The current one has ended.
    pub(super) const fn end(&mut self) {
        if let Some(choice) = &mut self.current {
            choice.over = true;
        }
    }

    /// Goes on to `next`. Says whether all that have begun are over.
    pub(super) fn settle(&mut self, next: Option<Choice>) -> bool {
        if let Some(choice) = std::mem::replace(&mut self.current, next) {
            let bit = 1 << choice.index.min(u64::from(u128::BITS - 1));
            self.begun |= bit;
            self.over |= if choice.over { bit } else { 0 };
        }
        self.begun != 0 && self.begun == self.over
    }
}
