//! What can be wrong with a transcript.

use super::FIRST_LINE;

/// A line of a transcript that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TranscriptError {
    /// Which line, 1 for the first.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// This is no transcript, or one of another version.
    #[error("a transcript begins with {FIRST_LINE:?}")]
    NotATranscript,
    /// Nothing begins with this word.
    #[error("{0:?} is not known here")]
    Unknown(String),
    /// Something is missing at the end of the line.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// This is not what it should be.
    #[error("{text:?} is no {wanted}")]
    Malformed {
        /// What is there.
        text: String,
        /// What should be there.
        wanted: &'static str,
    },
    /// A name, or a process, is there twice.
    #[error("{0:?} is there already")]
    Twice(String),
    /// A process or a connection that was not declared before.
    #[error("{0:?} was not declared before")]
    Undeclared(String),
    /// An indented line that follows nothing it could belong to.
    #[error(
        "an indented line belongs to a line before it that takes a block, indented by two spaces"
    )]
    Indented,
    /// The line takes no block.
    #[error("no indented lines can follow this")]
    Block,
    /// A body can't be brought into the content coding that its head names.
    #[error("the body can't be brought into the coding {0:?}; write it as it is sent, with `hex`")]
    Coding(String),
    /// More bytes than a transcript may hold.
    #[error("more than {0} bytes in one transcript")]
    TooLarge(usize),
}
