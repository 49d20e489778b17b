//! Tokens to a schema as written.

use super::ast::{Body, Definition, Field, Literal, Member, Schema};
use super::error::{Problem, Refusal};
use super::lexer::{Kind, Token};

/// Reads a whole schema.
pub fn parse(tokens: &[Token]) -> Result<Schema, Refusal> {
    let mut parser = Parser { tokens, next: 0 };
    let mut schema = Schema::default();
    loop {
        let docs = parser.docs();
        let Some(token) = parser.peek() else {
            break;
        };
        let line = token.line;
        let keyword = parser.word("a declaration")?;
        match keyword.as_str() {
            "namespace" => schema.namespace = Some(parser.word("a namespace")?),
            "attribute" => schema.attributes.push(parser.text()?),
            "file_identifier" => schema.file_identifier = Some((parser.text()?, line)),
            "root_type" => schema.root_type = Some((parser.word("a table")?, line)),
            "table" | "struct" | "enum" | "union" => {
                let definition = parser.definition(&keyword, line, docs)?;
                schema.definitions.push(definition);
                continue;
            }
            "include" | "native_include" => {
                return Err(Refusal::new(line, Problem::Unsupported("`include`")));
            }
            "rpc_service" => {
                return Err(Refusal::new(line, Problem::Unsupported("`rpc_service`")));
            }
            "file_extension" => {
                return Err(Refusal::new(line, Problem::Unsupported("`file_extension`")));
            }
            other => {
                let found = format!("`{other}`");
                let expected = "a declaration";
                return Err(Refusal::new(line, Problem::Expected { expected, found }));
            }
        }
        parser.mark(';', "`;`")?;
    }
    Ok(schema)
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn line(&self) -> u32 {
        let token = self.peek().or(self.tokens.last());
        token.map_or(1, |token| token.line)
    }

    fn expected(&self, expected: &'static str) -> Refusal {
        let found = self.peek().map(|token| token.kind.describe());
        let found = found.unwrap_or_else(|| "the end of the schema".to_string());
        Refusal::new(self.line(), Problem::Expected { expected, found })
    }

    fn docs(&mut self) -> Vec<String> {
        let mut docs = Vec::new();
        while let Some(Token {
            kind: Kind::Doc(doc),
            ..
        }) = self.peek()
        {
            docs.push(doc.clone());
            self.next += 1;
        }
        docs
    }

    fn word(&mut self, expected: &'static str) -> Result<String, Refusal> {
        match self.peek() {
            Some(Token {
                kind: Kind::Word(word),
                ..
            }) => {
                self.next += 1;
                Ok(word.clone())
            }
            _ => Err(self.expected(expected)),
        }
    }

    fn text(&mut self) -> Result<String, Refusal> {
        match self.peek() {
            Some(Token {
                kind: Kind::Text(text),
                ..
            }) => {
                self.next += 1;
                Ok(text.clone())
            }
            _ => Err(self.expected("a string in quotes")),
        }
    }

    /// Takes `mark` if it comes next.
    fn takes(&mut self, mark: char) -> bool {
        let found = self
            .peek()
            .is_some_and(|token| token.kind == Kind::Mark(mark));
        self.next += usize::from(found);
        found
    }

    fn mark(&mut self, mark: char, expected: &'static str) -> Result<(), Refusal> {
        if self.takes(mark) {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    fn definition(
        &mut self,
        keyword: &str,
        line: u32,
        docs: Vec<String>,
    ) -> Result<Definition, Refusal> {
        let name = self.word("a name")?;
        let underlying = if keyword == "enum" {
            self.mark(':', "`:` and the enumeration's type")?;
            self.word("an integer type")?
        } else {
            String::new()
        };
        if let Some((attribute, line)) = self.attributes()?.into_iter().next() {
            return Err(Refusal::new(line, Problem::Attribute(attribute)));
        }
        self.mark('{', "`{`")?;
        let body = match keyword {
            "table" => Body::Table(self.fields()?),
            "struct" => Body::Struct(self.fields()?),
            "union" => Body::Union(self.members()?),
            _ => Body::Enum(underlying, self.members()?),
        };
        Ok(Definition {
            line,
            name,
            docs,
            body,
        })
    }

    fn fields(&mut self) -> Result<Vec<Field>, Refusal> {
        let mut fields = Vec::new();
        loop {
            let docs = self.docs();
            if self.takes('}') {
                return Ok(fields);
            }
            let line = self.line();
            let name = self.word("a field or `}`")?;
            self.mark(':', "`:` and the field's type")?;
            let vector = self.takes('[');
            if vector && self.takes('[') {
                return Err(Refusal::new(
                    line,
                    Problem::Unsupported("a vector of vectors"),
                ));
            }
            let type_name = self.word("a type")?;
            if vector {
                if self.takes(':') {
                    return Err(Refusal::new(line, Problem::Unsupported("a fixed array")));
                }
                self.mark(']', "`]`")?;
            }
            let default = if self.takes('=') {
                Some(self.literal()?)
            } else {
                None
            };
            let attributes = self.attributes()?;
            self.mark(';', "`;`")?;
            fields.push(Field {
                line,
                name,
                docs,
                type_name,
                vector,
                default,
                attributes,
            });
        }
    }

    fn literal(&mut self) -> Result<Literal, Refusal> {
        let literal = match self.peek().map(|token| &token.kind) {
            Some(Kind::Integer(value)) => Literal::Integer(*value),
            Some(Kind::Real(value)) => Literal::Real(*value),
            Some(Kind::Word(word)) if word == "null" => {
                return Err(Refusal::new(
                    self.line(),
                    Problem::Unsupported("an optional scalar"),
                ));
            }
            Some(Kind::Word(word)) => Literal::Word(word.clone()),
            _ => return Err(self.expected("a default value")),
        };
        self.next += 1;
        Ok(literal)
    }

    /// `(name, name: value)`, or nothing. Only `force_align` may have a value, which does not matter to a reader.
    fn attributes(&mut self) -> Result<Vec<(String, u32)>, Refusal> {
        let mut attributes = Vec::new();
        if !self.takes('(') {
            return Ok(attributes);
        }
        loop {
            let line = self.line();
            let name = self.word("an attribute")?;
            if self.takes(':') {
                if name != "force_align" {
                    return Err(Refusal::new(line, Problem::Attribute(name)));
                }
                if !matches!(self.literal()?, Literal::Integer(1..)) {
                    return Err(Refusal::new(line, Problem::Attribute(name)));
                }
            }
            attributes.push((name, line));
            if !self.takes(',') {
                break;
            }
        }
        self.mark(')', "`)`")?;
        Ok(attributes)
    }

    fn members(&mut self) -> Result<Vec<Member>, Refusal> {
        let mut members = Vec::new();
        loop {
            let docs = self.docs();
            if self.takes('}') {
                return Ok(members);
            }
            let line = self.line();
            let name = self.word("a member or `}`")?;
            if self.takes(':') {
                return Err(Refusal::new(
                    line,
                    Problem::Unsupported("a renamed union member"),
                ));
            }
            let value = if !self.takes('=') {
                None
            } else if let Literal::Integer(value) = self.literal()? {
                Some(value)
            } else {
                self.next -= 1;
                return Err(self.expected("an integer"));
            };
            if let Some((attribute, line)) = self.attributes()?.into_iter().next() {
                return Err(Refusal::new(line, Problem::Attribute(attribute)));
            }
            members.push(Member {
                line,
                name,
                docs,
                value,
            });
            if !self.takes(',') {
                self.mark('}', "`,` or `}`")?;
                return Ok(members);
            }
        }
    }
}
