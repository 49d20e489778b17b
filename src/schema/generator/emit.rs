//! A checked schema to Rust.
//!
//! The accessors of a table are one `Table::get` each, with the type that `Verifiable` has checked at that slot; both
//! are written from the same `stored` type, which is what makes the unsafe calls sound.

use std::fmt::Write;

use super::check::{
    Checked, CheckedBody, CheckedDefinition, CheckedMember, Element, FieldKind, Number, Scalar,
    StructField, TableField,
};
use super::names::{accessor, snake_case};

/// The Rust source of the accessors of `schema`. The module that includes it provides the names of
/// `crate::schema::read`.
pub fn emit(schema: &Checked) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "// Generated from the schema of `{}`: do not edit.",
        schema.namespace
    );
    for definition in &schema.definitions {
        match &definition.body {
            CheckedBody::Table(fields) => table(&mut out, definition, fields, schema),
            CheckedBody::Struct {
                fields,
                size,
                align,
            } => {
                structure(&mut out, definition, fields, *size, *align);
            }
            CheckedBody::Enum { scalar, members } => {
                let named = |member: &CheckedMember| member.name.to_ascii_uppercase();
                enumeration(&mut out, definition, *scalar, members, named);
            }
            CheckedBody::Union(members) => union(&mut out, definition, members),
        }
    }
    root(&mut out, schema);
    out
}

/// Writes lines of documentation, or `otherwise` where the schema has none.
fn docs(out: &mut String, indent: &str, docs: &[String], otherwise: &str) {
    for line in docs {
        let _ = writeln!(out, "{indent}/// {line}");
    }
    if docs.is_empty() {
        let _ = writeln!(out, "{indent}/// {otherwise}");
    }
}

/// The Rust type of a scalar as the builder's caller sees it.
fn rust(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "bool",
        Scalar::Byte => "i8",
        Scalar::Ubyte => "u8",
        Scalar::Short => "i16",
        Scalar::Ushort => "u16",
        Scalar::Int => "i32",
        Scalar::Uint => "u32",
        Scalar::Long => "i64",
        Scalar::Ulong => "u64",
        Scalar::Float => "f32",
        Scalar::Double => "f64",
    }
}

/// The type that reads a scalar: its own, or for eight bytes one that is content with an alignment of four.
fn reader(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Long => "Long",
        Scalar::Ulong => "Ulong",
        Scalar::Double => "Double",
        other => rust(other),
    }
}

/// The type that reads and verifies a field, for the lifetime `life`.
fn stored(kind: &FieldKind, life: &str) -> String {
    match kind {
        FieldKind::Scalar { scalar, .. } => reader(*scalar).to_string(),
        FieldKind::Enum { name, .. } | FieldKind::Struct(name) => name.clone(),
        FieldKind::Table(name) => format!("ForwardsUOffset<{name}<{life}>>"),
        FieldKind::Union(name) => name.clone(),
        FieldKind::String => format!("ForwardsUOffset<&{life} str>"),
        FieldKind::Bytes => format!("ForwardsUOffset<Vector<{life}, u8>>"),
        FieldKind::Vector(element) => {
            format!("ForwardsUOffset<{}>", vector(element, life))
        }
    }
}

fn vector(element: &Element, life: &str) -> String {
    let element = match element {
        Element::Scalar(scalar) => reader(*scalar).to_string(),
        Element::Inline(name) => name.clone(),
        Element::Table(name) => format!("ForwardsUOffset<{name}<{life}>>"),
        Element::String => format!("ForwardsUOffset<&{life} str>"),
        Element::Bytes => format!("ForwardsUOffset<Vector<{life}, u8>>"),
    };
    format!("Vector<{life}, {element}>")
}

fn table(
    out: &mut String,
    definition: &CheckedDefinition,
    fields: &[TableField],
    schema: &Checked,
) {
    let name = &definition.name;
    docs(out, "", &definition.docs, &format!("Table `{name}`."));
    let _ = write!(
        out,
        "#[derive(Clone, Copy)]
pub struct {name}<'a>(Table<'a>);
impl<'a> Follow<'a> for {name}<'a> {{
    type Inner = Self;
    unsafe fn follow(buf: &'a [u8], loc: usize) -> Self {{
        // SAFETY: the caller vouches for a verified table of this type at `loc`.
        Self(unsafe {{ Table::new(buf, loc) }})
    }}
}}
impl fmt::Debug for {name}<'_> {{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{
        f.write_str(\"{name}\")
    }}
}}
impl Verifiable for {name}<'_> {{
    fn run_verifier(v: &mut Verifier<'_, '_>, pos: usize) -> Result<(), InvalidFlatbuffer> {{
        let t = v.visit_table(pos)?;
"
    );
    for TableField {
        name, slot, kind, ..
    } in fields
    {
        let _ = if let FieldKind::Union(union) = kind {
            let verify = snake_case(union);
            writeln!(
                out,
                "        let t = visit_union(t, {}, {slot}, verify_{verify})?;",
                slot - 2
            )
        } else {
            let stored = stored(kind, "'_");
            writeln!(
                out,
                "        let t = t.visit_field::<{stored}>(\"{name}\", {slot}, false)?;"
            )
        };
    }
    let _ = write!(out, "        t.finish();\n        Ok(())\n    }}\n}}\n");
    if fields.is_empty() {
        return;
    }
    let _ = writeln!(out, "impl<'a> {name}<'a> {{");
    for field in fields {
        match &field.kind {
            FieldKind::Union(union) => union_accessors(out, field, union, schema),
            kind => accessor_of(out, field, kind),
        }
    }
    out.push_str("}\n");
}

/// One accessor: a value with its default, or an `Option`.
fn accessor_of(out: &mut String, field: &TableField, kind: &FieldKind) {
    let (returned, default) = match kind {
        FieldKind::Scalar { scalar, default } => {
            let value = match default {
                Number::Bool(value) => value.to_string(),
                Number::Integer(value) => value.to_string(),
                Number::Real(value) => format!("{value:?}"),
            };
            (rust(*scalar).to_string(), Some(value))
        }
        FieldKind::Enum { name, default } => (name.clone(), Some(format!("{name}({default})"))),
        FieldKind::Struct(name) => (format!("Option<{name}>"), None),
        FieldKind::Table(name) => (format!("Option<{name}<'a>>"), None),
        FieldKind::Union(_) => return,
        FieldKind::String => ("Option<&'a str>".to_string(), None),
        FieldKind::Bytes => ("Option<Vector<'a, u8>>".to_string(), None),
        FieldKind::Vector(element) => (format!("Option<{}>", vector(element, "'a")), None),
    };
    let otherwise = match &default {
        Some(value) => format!(
            "Field `{}`; `{value}` where the file leaves it out.",
            field.name
        ),
        None => format!("Field `{}`.", field.name),
    };
    docs(out, "    ", &field.docs, &otherwise);
    let (slot, stored, name) = (field.slot, stored(kind, "'a"), accessor(&field.name));
    let _ = writeln!(out, "    pub fn {name}(&self) -> {returned} {{");
    let _ = writeln!(
        out,
        "        // SAFETY: a value of this type was verified at this slot."
    );
    let _ = match default {
        Some(value) => writeln!(
            out,
            "        unsafe {{ self.0.get::<{stored}>({slot}, None) }}.unwrap_or({value})"
        ),
        None => writeln!(
            out,
            "        unsafe {{ self.0.get::<{stored}>({slot}, None) }}"
        ),
    };
    out.push_str("    }\n");
}

/// The type of a union field, and one accessor per member.
fn union_accessors(out: &mut String, field: &TableField, union: &str, schema: &Checked) {
    let (name, slot) = (&field.name, field.slot);
    let _ = write!(
        out,
        "    /// Which table `{name}` is.
    pub fn {name}_type(&self) -> {union} {{
        // SAFETY: a value of this type was verified at this slot.
        unsafe {{ self.0.get::<{union}>({}, None) }}.unwrap_or({union}::NONE)
    }}
",
        slot - 2
    );
    let members = schema
        .definitions
        .iter()
        .find(|definition| definition.name == union);
    let Some(CheckedBody::Union(members)) = members.map(|definition| &definition.body) else {
        return;
    };
    for CheckedMember { name: member, .. } in members {
        let snake = snake_case(member);
        docs(out, "    ", &field.docs, &format!("Field `{name}`."));
        let _ = write!(
            out,
            "    ///
    /// None unless it is a `{member}`.
    pub fn {name}_as_{snake}(&self) -> Option<{member}<'a>> {{
        if self.{name}_type() != {union}::{} {{
            return None;
        }}
        // SAFETY: the verifier has looked at the same type field and verified this member.
        unsafe {{ self.0.get::<ForwardsUOffset<{member}<'a>>>({slot}, None) }}
    }}
",
            snake.to_ascii_uppercase()
        );
    }
}

fn enumeration(
    out: &mut String,
    definition: &CheckedDefinition,
    scalar: Scalar,
    members: &[CheckedMember],
    constant: impl Fn(&CheckedMember) -> String,
) {
    let (name, number) = (&definition.name, rust(scalar));
    docs(out, "", &definition.docs, &format!("Enumeration `{name}`."));
    let _ = write!(
        out,
        "///
/// A file may hold numbers that are none of the constants.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct {name}(pub {number});
impl {name} {{
"
    );
    for member in members {
        docs(
            out,
            "    ",
            &member.docs,
            &format!("Number {}.", member.value),
        );
        let _ = writeln!(
            out,
            "    pub const {}: Self = Self({});",
            constant(member),
            member.value
        );
    }
    let _ = writeln!(
        out,
        "    /// All constants with their names in the schema, by number."
    );
    let _ = writeln!(
        out,
        "    pub const ENUM_VALUES: &'static [(Self, &'static str)] = &["
    );
    for member in members {
        let _ = writeln!(
            out,
            "        (Self::{}, \"{}\"),",
            constant(member),
            member.name
        );
    }
    let _ = write!(
        out,
        "    ];
    /// The name in the schema; None for a number that has none.
    pub fn variant_name(self) -> Option<&'static str> {{
        Self::ENUM_VALUES.iter().find(|(value, _)| *value == self).map(|(_, name)| *name)
    }}
}}
impl fmt::Debug for {name} {{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{
        match self.variant_name() {{
            Some(name) => f.write_str(name),
            None => write!(f, \"{name}({{}})\", self.0),
        }}
    }}
}}
impl<'a> Follow<'a> for {name} {{
    type Inner = Self;
    unsafe fn follow(buf: &'a [u8], loc: usize) -> Self {{
        // SAFETY: the caller vouches for a verified scalar of this size at `loc`.
        Self(unsafe {{ <{number} as Follow>::follow(buf, loc) }})
    }}
}}
impl Verifiable for {name} {{
    fn run_verifier(v: &mut Verifier<'_, '_>, pos: usize) -> Result<(), InvalidFlatbuffer> {{
        <{number} as Verifiable>::run_verifier(v, pos)
    }}
}}
impl SimpleToVerifyInSlice for {name} {{}}
"
    );
}

/// The type of a union, and the function that verifies its value.
fn union(out: &mut String, definition: &CheckedDefinition, members: &[CheckedMember]) {
    let mut all = vec![CheckedMember {
        name: "NONE".to_string(),
        docs: vec!["No value.".to_string()],
        value: 0,
    }];
    all.extend(members.iter().map(|member| CheckedMember {
        name: member.name.clone(),
        docs: vec![format!("The value is a [`{}`].", member.name)],
        value: member.value,
    }));
    enumeration(out, definition, Scalar::Ubyte, &all, |member| {
        snake_case(&member.name).to_ascii_uppercase()
    });
    let snake = snake_case(&definition.name);
    let _ = write!(
        out,
        "fn verify_{snake}(member: u8, v: &mut Verifier<'_, '_>, pos: usize) -> Result<(), InvalidFlatbuffer> {{
    match member {{
"
    );
    for CheckedMember { name, value, .. } in members {
        let _ = writeln!(
            out,
            "        {value} => v.verify_union_variant::<ForwardsUOffset<{name}<'_>>>(\"{name}\", pos),"
        );
    }
    out.push_str("        _ => Ok(()),\n    }\n}\n");
}

fn structure(
    out: &mut String,
    definition: &CheckedDefinition,
    fields: &[StructField],
    size: usize,
    align: usize,
) {
    let name = &definition.name;
    // More than four is not asked for, as with scalars of eight bytes.
    let (word, words) = match align {
        1 => ("u8", size),
        2 => ("u16", size / 2),
        _ => ("u32", size / 4),
    };
    docs(out, "", &definition.docs, &format!("Struct `{name}`."));
    let _ = write!(
        out,
        "#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct {name}([u8; {size}]);
impl<'a> Follow<'a> for {name} {{
    type Inner = Self;
    unsafe fn follow(buf: &'a [u8], loc: usize) -> Self {{
        Self(read_bytes(buf, loc))
    }}
}}
impl Verifiable for {name} {{
    fn run_verifier(v: &mut Verifier<'_, '_>, pos: usize) -> Result<(), InvalidFlatbuffer> {{
        v.in_buffer::<[{word}; {words}]>(pos)
    }}
}}
impl SimpleToVerifyInSlice for {name} {{}}
impl fmt::Debug for {name} {{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{
        f.debug_struct(\"{name}\")"
    );
    for StructField { name, .. } in fields {
        let _ = write!(out, ".field(\"{name}\", &self.{}())", accessor(name));
    }
    let _ = write!(out, ".finish()\n    }}\n}}\nimpl {name} {{\n");
    for StructField {
        name,
        docs: lines,
        scalar,
        offset,
    } in fields
    {
        docs(out, "    ", lines, &format!("Field `{name}`."));
        let (name, number) = (accessor(name), rust(*scalar));
        let _ = writeln!(out, "    pub fn {name}(&self) -> {number} {{");
        let bytes: Vec<String> = (*offset..offset + scalar.size())
            .map(|i| format!("self.0[{i}]"))
            .collect();
        let _ = match scalar {
            Scalar::Bool => writeln!(out, "        {} != 0", bytes.join("")),
            _ => writeln!(
                out,
                "        {number}::from_le_bytes([{}])",
                bytes.join(", ")
            ),
        };
        out.push_str("    }\n");
    }
    out.push_str("}\n");
}

/// `IDENTIFIER` and the function that verifies a whole buffer.
fn root(out: &mut String, schema: &Checked) {
    let root = &schema.root;
    let identifier = match &schema.file_identifier {
        Some(text) => format!("Some(*b\"{}\")", text.escape_default()),
        None => "None".to_string(),
    };
    let _ = write!(
        out,
        "/// The four bytes behind the root offset that tell this format from others.
pub const IDENTIFIER: Option<[u8; 4]> = {identifier};
// SAFETY: the verifier of each table above checks every field that it has an accessor for.
unsafe impl Root for {root}<'static> {{
    type At<'a> = {root}<'a>;
    const IDENTIFIER: Option<[u8; 4]> = IDENTIFIER;
}}
/// Verifies `bytes` and returns the `{root}` at their root.
///
/// # Errors
/// The file identifier is another, or the structure is broken: see [`RootError`].
pub fn root_as_{}<'a>(bytes: &'a [u8], options: &VerifierOptions) -> Result<{root}<'a>, RootError> {{
    read_root::<{root}<'static>>(bytes, options)
}}
",
        snake_case(root)
    );
}
