//! The generator as a whole, on small schemas.

use super::generate;

#[test]
fn generate_places_fields_by_order_and_gives_a_union_two_slots() {
    let schema = "
        union U { A }
        table A { gone: int (deprecated); u: U; last: short = -7; }
        root_type A;";
    let rust = generate(schema).unwrap();
    // Slot 4 + 2 * id: `gone` has id 0, the union ids 1 and 2, `last` id 3.
    for part in [
        "let t = visit_union(t, 6, 8, verify_u)?;",
        "let t = t.visit_field::<i16>(\"last\", 10, false)?;",
        "self.0.get::<i16>(10, None) }.unwrap_or(-7)",
        "pub fn u_type(&self) -> U {",
        "pub fn u_as_a(&self) -> Option<A<'a>> {",
        "pub const IDENTIFIER: Option<[u8; 4]> = None;",
        "pub fn root_as_a<'a>(",
    ] {
        assert!(rust.contains(part), "{part} is missing in\n{rust}");
    }
    assert!(!rust.contains("gone"), "a deprecated field has no accessor");
}

#[test]
fn generate_writes_every_kind_of_field() {
    let schema = "
        attribute \"bytes\";
        enum E: byte { ZERO, TWO = 2, THREE }
        struct S { a: byte; b: int; c: bool; }
        table T {
          flag: bool = true; wide: long; real: float = 0.5; e: E = THREE; s: S; type: string; t: T;
          raw: string (bytes);
          flags: [bool]; wides: [ulong] (force_align: 16); es: [E]; ss: [S]; names: [string]; ts: [T];
          raws: [string] (bytes);
        }
        file_identifier \"ABCD\";
        root_type T;";
    let rust = generate(schema).unwrap();
    for part in [
        "self.0.get::<bool>(4, None) }.unwrap_or(true)",
        "pub fn wide(&self) -> i64 {",
        "self.0.get::<Long>(6, None) }.unwrap_or(0)",
        "self.0.get::<f32>(8, None) }.unwrap_or(0.5)",
        "self.0.get::<E>(10, None) }.unwrap_or(E(3))",
        "pub fn s(&self) -> Option<S> {",
        "pub fn type_(&self) -> Option<&'a str> {",
        "pub fn t(&self) -> Option<T<'a>> {",
        "pub fn raw(&self) -> Option<Vector<'a, u8>> {",
        "pub fn flags(&self) -> Option<Vector<'a, bool>> {",
        "pub fn wides(&self) -> Option<Vector<'a, Ulong>> {",
        "pub fn es(&self) -> Option<Vector<'a, E>> {",
        "pub fn ss(&self) -> Option<Vector<'a, S>> {",
        "pub fn names(&self) -> Option<Vector<'a, ForwardsUOffset<&'a str>>> {",
        "pub fn ts(&self) -> Option<Vector<'a, ForwardsUOffset<T<'a>>>> {",
        "pub fn raws(&self) -> Option<Vector<'a, ForwardsUOffset<Vector<'a, u8>>>> {",
        "pub const THREE: Self = Self(3);",
        // a at 0, b aligned to 4, c at 8, padded to a multiple of 4.
        "pub struct S([u8; 12]);",
        "i32::from_le_bytes([self.0[4], self.0[5], self.0[6], self.0[7]])",
        "self.0[8] != 0",
        "Some(*b\"ABCD\")",
    ] {
        assert!(rust.contains(part), "{part} is missing in\n{rust}");
    }
}

#[test]
fn generate_refuses_what_it_does_not_implement() {
    let cases = [
        ("include \"x.fbs\";", "line 1: `include` is not supported"),
        ("rpc_service S {}", "line 1: `rpc_service` is not supported"),
        (
            "file_extension \"x\";",
            "line 1: `file_extension` is not supported",
        ),
        (
            "banana A {}",
            "line 1: expected a declaration, found `banana`",
        ),
        (
            "table A {}\n{ }",
            "line 2: expected a declaration, found `{`",
        ),
        (
            "table A { x: [int:4]; }",
            "line 1: a fixed array is not supported",
        ),
        (
            "table A { x: [[int]]; }",
            "line 1: a vector of vectors is not supported",
        ),
        (
            "table A { x: int = null; }",
            "line 1: an optional scalar is not supported",
        ),
        ("table A { x: int }", "line 1: expected `;`, found `}`"),
        (
            "table A { x: int;",
            "line 1: expected a field or `}`, found the end of the schema",
        ),
        (
            "table A { x: int (required); }",
            "line 1: attribute required is not supported here",
        ),
        (
            "table A { x: int (id: 3); }",
            "line 1: attribute id is not supported here",
        ),
        (
            "table A { x: int (force_align: 8); }",
            "line 1: attribute force_align is not supported here",
        ),
        (
            "table A { x: [ubyte] (nested_flatbuffer: \"A\"); }",
            "line 1: attribute nested_flatbuffer is not supported here",
        ),
        (
            "table A { x: string (bytes); }",
            "line 1: attribute bytes is not declared: add `attribute \"bytes\";`",
        ),
        (
            "table A (deprecated) {}",
            "line 1: attribute deprecated is not supported here",
        ),
        (
            "table A {\n x: Missing;\n}",
            "line 2: type Missing is not defined",
        ),
        ("table A { x: int32; }", "line 1: type int32 is not defined"),
        ("table A {}\ntable A {}", "line 2: A is defined twice"),
        ("table A { x: int; x: int; }", "line 1: x is defined twice"),
        (
            "table A { x: byte = 128; }",
            "line 1: 128 is no default for byte",
        ),
        (
            "table A { x: int = 1.5; }",
            "line 1: 1.5 is no default for int",
        ),
        (
            "table A { x: string = 1; }",
            "line 1: 1 is no default for string",
        ),
        (
            "table A { x: [int] = 1; }",
            "line 1: 1 is no default for [int]",
        ),
        (
            "enum E: byte { A = 1 } table T { e: E; }",
            "line 1: 0 is no default for E",
        ),
        (
            "enum E: byte { A } table T { e: E = B; }",
            "line 1: B is no default for E",
        ),
        (
            "enum E { A }",
            "line 1: expected `:` and the enumeration's type, found `{`",
        ),
        (
            "enum E: long { A }",
            "line 1: an enumeration of this type is not supported",
        ),
        (
            "enum E: ubyte { A = 256 }",
            "line 1: member A has number 256, which is out of range or not larger than the one before",
        ),
        (
            "enum E: byte { A = 1, B = 1 }",
            "line 1: member B has number 1, which is out of range or not larger than the one before",
        ),
        (
            "enum E: byte { A = x }",
            "line 1: expected an integer, found `x`",
        ),
        (
            "union U { A: B }",
            "line 1: a renamed union member is not supported",
        ),
        (
            "union U { A } enum A: byte { B }",
            "line 1: union member A is not a table",
        ),
        (
            "union U { T } table T { u: [U]; }",
            "line 1: a vector of unions is not supported",
        ),
        (
            "struct S { s: [int]; }",
            "line 1: a struct's field that is not a scalar is not supported",
        ),
        (
            "struct S {}",
            "line 1: a struct without fields is not supported",
        ),
        (
            "struct S { a: int = 1; }",
            "line 1: a default in a struct is not supported",
        ),
        (
            "file_identifier \"TFL\";",
            "line 1: file identifier \"TFL\" is not four ASCII characters",
        ),
        ("root_type Nowhere;", "line 1: type Nowhere is not defined"),
    ];
    for (schema, message) in cases {
        // The root is declared last, so that a case fails for its own reason.
        let schema = match schema.contains("root_type") {
            true => schema.to_string(),
            false => format!("{schema}\ntable R {{}} root_type R;"),
        };
        let cut = message.ends_with("end of the schema");
        let schema = if cut {
            schema.lines().next().unwrap().to_string()
        } else {
            schema
        };
        assert_eq!(
            generate(&schema).unwrap_err().to_string(),
            message,
            "{schema}"
        );
    }
    assert_eq!(
        generate("table A {}").unwrap_err().to_string(),
        "line 1: schema has no root_type"
    );
}
