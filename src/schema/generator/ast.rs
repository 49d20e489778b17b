//! A schema as written: names are not resolved yet.

/// Everything in one `.fbs` file.
#[derive(Debug, Default)]
pub struct Schema {
    pub namespace: Option<String>,
    /// Attributes declared with `attribute "name";`.
    pub attributes: Vec<String>,
    /// The four characters behind the root offset, and the line they are given on.
    pub file_identifier: Option<(String, u32)>,
    pub root_type: Option<(String, u32)>,
    pub definitions: Vec<Definition>,
}

/// A named type.
#[derive(Debug)]
pub struct Definition {
    pub line: u32,
    pub name: String,
    /// Lines of documentation.
    pub docs: Vec<String>,
    pub body: Body,
}

/// What is defined.
#[derive(Debug)]
pub enum Body {
    Table(Vec<Field>),
    Struct(Vec<Field>),
    /// The underlying type's name, and the members.
    Enum(String, Vec<Member>),
    Union(Vec<Member>),
}

/// A field of a table or struct.
#[derive(Debug)]
pub struct Field {
    pub line: u32,
    pub name: String,
    pub docs: Vec<String>,
    /// The type's name, or its element's when `vector`.
    pub type_name: String,
    pub vector: bool,
    pub default: Option<Literal>,
    pub attributes: Vec<(String, u32)>,
}

/// A default value.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Integer(i64),
    Real(f64),
    /// `true`, `false` or the name of an enumeration's member.
    Word(String),
}

/// A member of an enumeration or union.
#[derive(Debug)]
pub struct Member {
    pub line: u32,
    pub name: String,
    pub docs: Vec<String>,
    pub value: Option<i64>,
}
