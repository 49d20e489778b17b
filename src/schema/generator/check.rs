//! A schema as written to one whose names are resolved and whose fields have their places.

use std::collections::HashMap;

use super::ast::{Body, Definition, Field, Literal, Member, Schema};
use super::error::{Problem, Refusal};

/// A schema that can be emitted: every type is known, every field has its slot, every default its value.
#[derive(Debug)]
pub struct Checked {
    pub namespace: String,
    pub file_identifier: Option<String>,
    /// Name of the table at the root.
    pub root: String,
    pub definitions: Vec<CheckedDefinition>,
}

/// A named type.
#[derive(Debug)]
pub struct CheckedDefinition {
    pub name: String,
    pub docs: Vec<String>,
    pub body: CheckedBody,
}

/// What is defined.
#[derive(Debug)]
pub enum CheckedBody {
    Table(Vec<TableField>),
    Struct {
        fields: Vec<StructField>,
        size: usize,
        align: usize,
    },
    Enum {
        scalar: Scalar,
        members: Vec<CheckedMember>,
    },
    Union(Vec<CheckedMember>),
}

/// A field of a table that has an accessor.
#[derive(Debug)]
pub struct TableField {
    pub name: String,
    pub docs: Vec<String>,
    /// Position in the vtable, in bytes. Of a union: that of the value; its type is at the slot before.
    pub slot: u16,
    pub kind: FieldKind,
}

/// What a field of a table holds.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    Scalar {
        scalar: Scalar,
        default: Number,
    },
    Enum {
        name: String,
        default: i64,
    },
    Struct(String),
    Table(String),
    Union(String),
    String,
    /// A string that is not text.
    Bytes,
    Vector(Element),
}

/// What a vector holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    Scalar(Scalar),
    /// An enumeration or a struct: stored in place.
    Inline(String),
    Table(String),
    String,
    Bytes,
}

/// A field of a struct.
#[derive(Debug)]
pub struct StructField {
    pub name: String,
    pub docs: Vec<String>,
    pub scalar: Scalar,
    /// In bytes from the start of the struct.
    pub offset: usize,
}

/// A member of an enumeration or union.
#[derive(Debug)]
pub struct CheckedMember {
    pub name: String,
    pub docs: Vec<String>,
    pub value: i64,
}

/// A default of a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Bool(bool),
    Integer(i64),
    Real(f64),
}

/// A type of fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    Bool,
    Byte,
    Ubyte,
    Short,
    Ushort,
    Int,
    Uint,
    Long,
    Ulong,
    Float,
    Double,
}

impl Scalar {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Scalar::Bool,
            "byte" => Scalar::Byte,
            "ubyte" => Scalar::Ubyte,
            "short" => Scalar::Short,
            "ushort" => Scalar::Ushort,
            "int" => Scalar::Int,
            "uint" => Scalar::Uint,
            "long" => Scalar::Long,
            "ulong" => Scalar::Ulong,
            "float" => Scalar::Float,
            "double" => Scalar::Double,
            _ => return None,
        })
    }

    /// In bytes; also the alignment in a struct.
    pub fn size(self) -> usize {
        match self {
            Scalar::Bool | Scalar::Byte | Scalar::Ubyte => 1,
            Scalar::Short | Scalar::Ushort => 2,
            Scalar::Int | Scalar::Uint | Scalar::Float => 4,
            Scalar::Long | Scalar::Ulong | Scalar::Double => 8,
        }
    }

    /// Whether an integer literal `value` is one of the type. A `ulong` beyond `i64` cannot be written.
    fn holds(self, value: i64) -> bool {
        match self {
            Scalar::Bool => value == 0 || value == 1,
            Scalar::Byte => i8::try_from(value).is_ok(),
            Scalar::Ubyte => u8::try_from(value).is_ok(),
            Scalar::Short => i16::try_from(value).is_ok(),
            Scalar::Ushort => u16::try_from(value).is_ok(),
            Scalar::Int => i32::try_from(value).is_ok(),
            Scalar::Uint => u32::try_from(value).is_ok(),
            Scalar::Ulong => value >= 0,
            Scalar::Long | Scalar::Float | Scalar::Double => true,
        }
    }
}

/// What a name stands for.
enum Named {
    Table,
    Struct,
    Union,
    /// The members, by name.
    Enum(HashMap<String, i64>),
}

/// Resolves the names of `schema` and gives its fields their places.
pub fn check(schema: Schema) -> Result<Checked, Refusal> {
    let names = names(&schema.definitions)?;
    let checker = Checker {
        names,
        attributes: schema.attributes,
    };
    let file_identifier = match schema.file_identifier {
        Some((text, line)) if text.len() != 4 || !text.is_ascii() => {
            return Err(Refusal::new(line, Problem::Identifier(text)));
        }
        identifier => identifier.map(|(text, _)| text),
    };
    let (root, line) = schema.root_type.ok_or(Refusal::new(1, Problem::NoRoot))?;
    if !matches!(checker.names.get(&root), Some(Named::Table)) {
        return Err(Refusal::new(line, Problem::UnknownType(root)));
    }
    let mut definitions = Vec::with_capacity(schema.definitions.len());
    for definition in schema.definitions {
        definitions.push(checker.definition(definition)?);
    }
    let namespace = schema.namespace.unwrap_or_default();
    Ok(Checked {
        namespace,
        file_identifier,
        root,
        definitions,
    })
}

fn names(definitions: &[Definition]) -> Result<HashMap<String, Named>, Refusal> {
    let mut names = HashMap::new();
    for definition in definitions {
        let named = match &definition.body {
            Body::Table(_) => Named::Table,
            Body::Struct(_) => Named::Struct,
            Body::Union(_) => Named::Union,
            Body::Enum(_, members) => {
                let numbered = number(members, 0, i64::MIN, i64::MAX)?;
                Named::Enum(numbered.into_iter().map(|m| (m.name, m.value)).collect())
            }
        };
        let taken = Scalar::named(&definition.name).is_some() || definition.name == "string";
        if taken || names.insert(definition.name.clone(), named).is_some() {
            let problem = Problem::Duplicate(definition.name.clone());
            return Err(Refusal::new(definition.line, problem));
        }
    }
    Ok(names)
}

/// Numbers `members` upwards from `first`; explicit numbers must rise and lie in `least..=most`.
fn number(
    members: &[Member],
    first: i64,
    least: i64,
    most: i64,
) -> Result<Vec<CheckedMember>, Refusal> {
    let mut numbered: Vec<CheckedMember> = Vec::with_capacity(members.len());
    for member in members {
        let before = numbered.last().map(|member| member.value);
        let value = match (member.value, before) {
            (Some(value), _) => value,
            (None, Some(before)) => before.saturating_add(1),
            (None, None) => first,
        };
        if value < least || value > most || before.is_some_and(|before| value <= before) {
            let name = member.name.clone();
            return Err(Refusal::new(member.line, Problem::Member { name, value }));
        }
        if numbered.iter().any(|other| other.name == member.name) {
            return Err(Refusal::new(
                member.line,
                Problem::Duplicate(member.name.clone()),
            ));
        }
        let (name, docs) = (member.name.clone(), member.docs.clone());
        numbered.push(CheckedMember { name, docs, value });
    }
    Ok(numbered)
}

struct Checker {
    names: HashMap<String, Named>,
    attributes: Vec<String>,
}

impl Checker {
    fn definition(&self, definition: Definition) -> Result<CheckedDefinition, Refusal> {
        let Definition {
            line,
            name,
            docs,
            body,
        } = definition;
        let body = match body {
            Body::Table(fields) => CheckedBody::Table(self.table(&name, line, fields)?),
            Body::Struct(fields) => self.structure(line, fields)?,
            Body::Enum(underlying, members) => {
                let (least, most, scalar) = match Scalar::named(&underlying) {
                    Some(s @ Scalar::Byte) => (i8::MIN.into(), i8::MAX.into(), s),
                    Some(s @ Scalar::Ubyte) => (0, u8::MAX.into(), s),
                    Some(s @ Scalar::Short) => (i16::MIN.into(), i16::MAX.into(), s),
                    Some(s @ Scalar::Ushort) => (0, u16::MAX.into(), s),
                    Some(s @ Scalar::Int) => (i32::MIN.into(), i32::MAX.into(), s),
                    Some(s @ Scalar::Uint) => (0, u32::MAX.into(), s),
                    _ => {
                        let what = "an enumeration of this type";
                        return Err(Refusal::new(line, Problem::Unsupported(what)));
                    }
                };
                CheckedBody::Enum {
                    scalar,
                    members: number(&members, 0, least, most)?,
                }
            }
            Body::Union(members) => {
                let numbered = number(&members, 1, 1, u8::MAX.into())?;
                for member in &members {
                    if !matches!(self.names.get(&member.name), Some(Named::Table)) {
                        let problem = Problem::NotATable(member.name.clone());
                        return Err(Refusal::new(member.line, problem));
                    }
                }
                CheckedBody::Union(numbered)
            }
        };
        Ok(CheckedDefinition { name, docs, body })
    }

    fn table(
        &self,
        table: &str,
        line: u32,
        fields: Vec<Field>,
    ) -> Result<Vec<TableField>, Refusal> {
        let mut checked: Vec<TableField> = Vec::with_capacity(fields.len());
        let mut names: Vec<String> = Vec::with_capacity(fields.len());
        // A vtable begins with its own length and the table's: four bytes.
        let mut slot = 4u16;
        for field in fields {
            if names.contains(&field.name) {
                return Err(Refusal::new(field.line, Problem::Duplicate(field.name)));
            }
            names.push(field.name.clone());
            let deprecated = self.has_attribute(&field, "deprecated")?;
            let kind = self.kind(&field)?;
            let union = matches!(kind, FieldKind::Union(_));
            let after = slot.checked_add(if union { 4 } else { 2 });
            let own = if union { slot.saturating_add(2) } else { slot };
            slot = after
                .ok_or_else(|| Refusal::new(line, Problem::TooManyFields(table.to_string())))?;
            if !deprecated {
                checked.push(TableField {
                    name: field.name,
                    docs: field.docs,
                    slot: own,
                    kind,
                });
            }
        }
        Ok(checked)
    }

    /// Whether `field` has the attribute `name`; refuses those that are not implemented.
    fn has_attribute(&self, field: &Field, name: &str) -> Result<bool, Refusal> {
        for (attribute, line) in &field.attributes {
            let text = field.type_name == "string";
            match attribute.as_str() {
                "deprecated" => {}
                "force_align" if field.vector => {}
                "bytes" if text && self.attributes.contains(attribute) => {}
                "bytes" if text => {
                    return Err(Refusal::new(*line, Problem::Undeclared(attribute.clone())));
                }
                _ => return Err(Refusal::new(*line, Problem::Attribute(attribute.clone()))),
            }
        }
        Ok(field
            .attributes
            .iter()
            .any(|(attribute, _)| attribute == name))
    }

    fn kind(&self, field: &Field) -> Result<FieldKind, Refusal> {
        let name = field.type_name.clone();
        let bytes = self.has_attribute(field, "bytes")?;
        let named = self.names.get(&name);
        let kind = if let Some(scalar) = Scalar::named(&name) {
            if field.vector {
                FieldKind::Vector(Element::Scalar(scalar))
            } else {
                return Ok(FieldKind::Scalar {
                    scalar,
                    default: scalar_default(field, scalar)?,
                });
            }
        } else if name == "string" {
            match (field.vector, bytes) {
                (false, false) => FieldKind::String,
                (false, true) => FieldKind::Bytes,
                (true, false) => FieldKind::Vector(Element::String),
                (true, true) => FieldKind::Vector(Element::Bytes),
            }
        } else {
            match (named, field.vector) {
                (None, _) => return Err(Refusal::new(field.line, Problem::UnknownType(name))),
                (Some(Named::Enum(members)), false) => {
                    let default = enum_default(field, members)?;
                    return Ok(FieldKind::Enum { name, default });
                }
                (Some(Named::Enum(_) | Named::Struct), true) => {
                    FieldKind::Vector(Element::Inline(name))
                }
                (Some(Named::Struct), false) => FieldKind::Struct(name),
                (Some(Named::Table), false) => FieldKind::Table(name),
                (Some(Named::Table), true) => FieldKind::Vector(Element::Table(name)),
                (Some(Named::Union), false) => FieldKind::Union(name),
                (Some(Named::Union), true) => {
                    let problem = Problem::Unsupported("a vector of unions");
                    return Err(Refusal::new(field.line, problem));
                }
            }
        };
        match &field.default {
            None => Ok(kind),
            Some(default) => Err(no_default(field, default)),
        }
    }

    fn structure(&self, line: u32, fields: Vec<Field>) -> Result<CheckedBody, Refusal> {
        let mut checked: Vec<StructField> = Vec::with_capacity(fields.len());
        let (mut size, mut align) = (0usize, 1usize);
        for field in fields {
            if let Some((attribute, line)) = field.attributes.into_iter().next() {
                return Err(Refusal::new(line, Problem::Attribute(attribute)));
            }
            if field.default.is_some() {
                let problem = Problem::Unsupported("a default in a struct");
                return Err(Refusal::new(field.line, problem));
            }
            if checked.iter().any(|other| other.name == field.name) {
                return Err(Refusal::new(field.line, Problem::Duplicate(field.name)));
            }
            let scalar = Scalar::named(&field.type_name).filter(|_| !field.vector);
            let Some(scalar) = scalar else {
                let problem = Problem::Unsupported("a struct's field that is not a scalar");
                return Err(Refusal::new(field.line, problem));
            };
            let offset = size.next_multiple_of(scalar.size());
            checked.push(StructField {
                name: field.name,
                docs: field.docs,
                scalar,
                offset,
            });
            size = offset + scalar.size();
            align = align.max(scalar.size());
        }
        if checked.is_empty() {
            return Err(Refusal::new(
                line,
                Problem::Unsupported("a struct without fields"),
            ));
        }
        Ok(CheckedBody::Struct {
            fields: checked,
            size: size.next_multiple_of(align),
            align,
        })
    }
}

fn scalar_default(field: &Field, scalar: Scalar) -> Result<Number, Refusal> {
    let real = matches!(scalar, Scalar::Float | Scalar::Double);
    match (&field.default, scalar) {
        (None, Scalar::Bool) => Ok(Number::Bool(false)),
        (None, _) if real => Ok(Number::Real(0.0)),
        (None, _) => Ok(Number::Integer(0)),
        (Some(Literal::Word(word)), Scalar::Bool) if word == "true" => Ok(Number::Bool(true)),
        (Some(Literal::Word(word)), Scalar::Bool) if word == "false" => Ok(Number::Bool(false)),
        (Some(Literal::Real(value)), _) if real => Ok(Number::Real(*value)),
        (Some(Literal::Integer(value)), Scalar::Bool) if scalar.holds(*value) => {
            Ok(Number::Bool(*value == 1))
        }
        (Some(Literal::Integer(value)), _) if real && value.unsigned_abs() <= 1 << 24 => {
            Ok(Number::Real(*value as f64))
        }
        (Some(Literal::Integer(value)), _) if !real && scalar.holds(*value) => {
            Ok(Number::Integer(*value))
        }
        (Some(default), _) => Err(no_default(field, default)),
    }
}

fn enum_default(field: &Field, members: &HashMap<String, i64>) -> Result<i64, Refusal> {
    let zero = Literal::Integer(0);
    let default = field.default.as_ref().unwrap_or(&zero);
    let value = match default {
        Literal::Word(word) => members.get(word).copied(),
        Literal::Integer(value) => members.values().copied().find(|member| member == value),
        Literal::Real(_) => None,
    };
    value.ok_or_else(|| no_default(field, default))
}

fn no_default(field: &Field, default: &Literal) -> Refusal {
    let value = match default {
        Literal::Integer(value) => value.to_string(),
        Literal::Real(value) => value.to_string(),
        Literal::Word(word) => word.clone(),
    };
    let (open, close) = if field.vector { ("[", "]") } else { ("", "") };
    let of = format!("{open}{}{close}", field.type_name);
    Refusal::new(field.line, Problem::Default { value, of })
}
