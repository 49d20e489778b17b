//! Why a schema was refused.

use std::fmt;

/// A schema that the generator cannot turn into accessors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Line of the schema, from 1.
    pub line: u32,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A character that begins no token.
    Character(char),
    /// A string without its closing quote on the same line, or with an escape.
    Text,
    /// A number that no scalar type holds.
    Number(String),
    /// Something else than what the grammar asks for here.
    Expected {
        expected: &'static str,
        found: String,
    },
    /// A part of the language that the generator does not implement.
    Unsupported(&'static str),
    /// An attribute other than the implemented ones.
    Attribute(String),
    /// An attribute of the schema's own that is used without `attribute "name";`.
    Undeclared(String),
    /// A name that is defined twice.
    Duplicate(String),
    /// A type that the schema does not define.
    UnknownType(String),
    /// A default that the field's type does not have.
    Default { value: String, of: String },
    /// A number of an enumeration that is out of range or not larger than the one before.
    Member { name: String, value: i64 },
    /// A union member that is no table.
    NotATable(String),
    /// A file identifier that is not four bytes long.
    Identifier(String),
    /// The file has no `root_type`.
    NoRoot,
    /// A table with more fields than a vtable holds.
    TooManyFields(String),
}

impl Refusal {
    pub fn new(line: u32, problem: Problem) -> Self {
        Self { line, problem }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.problem {
            Problem::Character(c) => write!(f, "character {c:?} begins no token"),
            Problem::Text => write!(
                f,
                "string is not closed on its line or contains an escape, which is not supported"
            ),
            Problem::Number(text) => write!(f, "number {text} is not one of the supported forms"),
            Problem::Expected { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            Problem::Unsupported(what) => write!(f, "{what} is not supported"),
            Problem::Attribute(name) => write!(f, "attribute {name} is not supported here"),
            Problem::Undeclared(name) => write!(
                f,
                "attribute {name} is not declared: add `attribute \"{name}\";`"
            ),
            Problem::Duplicate(name) => write!(f, "{name} is defined twice"),
            Problem::UnknownType(name) => write!(f, "type {name} is not defined"),
            Problem::Default { value, of } => write!(f, "{value} is no default for {of}"),
            Problem::Member { name, value } => write!(
                f,
                "member {name} has number {value}, which is out of range or not larger than the one before"
            ),
            Problem::NotATable(name) => write!(f, "union member {name} is not a table"),
            Problem::Identifier(text) => {
                write!(f, "file identifier {text:?} is not four ASCII characters")
            }
            Problem::NoRoot => write!(f, "schema has no root_type"),
            Problem::TooManyFields(name) => write!(f, "table {name} has too many fields"),
        }
    }
}

impl std::error::Error for Refusal {}
