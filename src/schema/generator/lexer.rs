//! Schema text to tokens.

use super::error::{Problem, Refusal};

/// A token and the line it stands on, from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub line: u32,
    pub kind: Kind,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A word: name, type or keyword.
    Word(String),
    /// A decimal integer.
    Integer(i64),
    /// A decimal number with a point.
    Real(f64),
    /// A string, without its quotes.
    Text(String),
    /// A line of documentation (`///`), without the slashes and the space behind them.
    Doc(String),
    /// One of `{ } [ ] ( ) : ; , =`.
    Mark(char),
}

impl Kind {
    /// How a message names the token.
    pub fn describe(&self) -> String {
        match self {
            Kind::Word(word) => format!("`{word}`"),
            Kind::Integer(value) => value.to_string(),
            Kind::Real(value) => value.to_string(),
            Kind::Text(text) => format!("{text:?}"),
            Kind::Doc(_) => "a documentation comment".to_string(),
            Kind::Mark(mark) => format!("`{mark}`"),
        }
    }
}

/// Splits `schema` into tokens.
pub fn lex(schema: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    for (line, text) in (1u32..).zip(schema.lines()) {
        lex_line(line, text, &mut tokens)?;
    }
    Ok(tokens)
}

fn lex_line(line: u32, text: &str, tokens: &mut Vec<Token>) -> Result<(), Refusal> {
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            '/' if rest.starts_with("///") => {
                let doc = rest[3..].trim_end();
                (
                    Kind::Doc(doc.strip_prefix(' ').unwrap_or(doc).to_string()),
                    rest.len(),
                )
            }
            '/' if rest.starts_with("//") => return Ok(()),
            '/' if rest.starts_with("/*") => {
                return Err(Refusal::new(line, Problem::Unsupported("a block comment")));
            }
            '"' => {
                let body = &rest[1..];
                let end = body
                    .find(['"', '\\'])
                    .filter(|&end| body.as_bytes()[end] == b'"')
                    .ok_or_else(|| Refusal::new(line, Problem::Text))?;
                (Kind::Text(body[..end].to_string()), end + 2)
            }
            '{' | '}' | '[' | ']' | '(' | ')' | ':' | ';' | ',' | '=' => (Kind::Mark(first), 1),
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = prefix(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                (Kind::Word(rest[..length].to_string()), length)
            }
            '-' | '+' | '.' | '0'..='9' => {
                let length = prefix(rest, |c| {
                    c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')
                });
                (number(line, &rest[..length])?, length)
            }
            other => return Err(Refusal::new(line, Problem::Character(other))),
        };
        tokens.push(Token { line, kind });
        rest = rest[length..].trim_start();
    }
    Ok(())
}

/// How many bytes of `text` satisfy `belongs`, from its start.
fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// An integer or a number with a point; hexadecimal, exponents and `nan` are refused.
fn number(line: u32, text: &str) -> Result<Kind, Refusal> {
    let plain = text
        .trim_start_matches(['-', '+'])
        .chars()
        .all(|c| c.is_ascii_digit() || c == '.');
    let parsed = if !plain {
        None
    } else if text.contains('.') {
        text.parse().ok().map(Kind::Real)
    } else {
        text.parse().ok().map(Kind::Integer)
    };
    parsed.ok_or_else(|| Refusal::new(line, Problem::Number(text.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lex_splits_every_kind_of_token_and_counts_lines() {
        let tokens = lex("/// Doc.\ntable A { x: int = -1; } // gone\n\"TFL3\" 0.5").unwrap();
        let expected = [
            (1, Kind::Doc("Doc.".into())),
            (2, Kind::Word("table".into())),
            (2, Kind::Word("A".into())),
            (2, Kind::Mark('{')),
            (2, Kind::Word("x".into())),
            (2, Kind::Mark(':')),
            (2, Kind::Word("int".into())),
            (2, Kind::Mark('=')),
            (2, Kind::Integer(-1)),
            (2, Kind::Mark(';')),
            (2, Kind::Mark('}')),
            (3, Kind::Text("TFL3".into())),
            (3, Kind::Real(0.5)),
        ];
        let found: Vec<_> = tokens.into_iter().map(|t| (t.line, t.kind)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lex_refuses_what_begins_no_token() {
        let cases = [
            ("a\n @", "line 2: character '@' begins no token"),
            ("é", "line 1: character 'é' begins no token"),
            (
                "\"open",
                "line 1: string is not closed on its line or contains an escape, which is not supported",
            ),
            (
                "\"a\\n\"",
                "line 1: string is not closed on its line or contains an escape, which is not supported",
            ),
            (
                "0x10",
                "line 1: number 0x10 is not one of the supported forms",
            ),
            (
                "1e3",
                "line 1: number 1e3 is not one of the supported forms",
            ),
            (
                "9223372036854775808",
                "line 1: number 9223372036854775808 is not one of the supported forms",
            ),
            ("/* x */", "line 1: a block comment is not supported"),
        ];
        for (schema, message) in cases {
            assert_eq!(lex(schema).unwrap_err().to_string(), message, "{schema}");
        }
    }
}
