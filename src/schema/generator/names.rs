//! Names of the schema as names of Rust.

/// The words of a CamelCase name in snake case. Digits, and the capital behind them, stay with the word before:
/// `Conv2DOptions` is `conv2d_options`, `PadV2Options` is `pad_v2_options`, `L2NormOptions` is `l2_norm_options`.
pub fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (i, &letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| letters.get(i));
        let after_lower = before.is_some_and(|c| c.is_ascii_lowercase());
        let after_other = before.is_some_and(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        let before_lower = letters.get(i + 1).is_some_and(|c| c.is_ascii_lowercase());
        if letter.is_ascii_uppercase() && (after_lower || (after_other && before_lower)) {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The name of a field's accessor: the field's own, with `_` behind it when Rust reserves the word.
pub fn accessor(field: &str) -> String {
    const RESERVED: [&str; 38] = [
        "as", "async", "await", "box", "break", "const", "continue", "crate", "dyn", "else",
        "enum", "extern", "false", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match",
        "mod", "move", "mut", "pub", "ref", "return", "self", "static", "struct", "super", "trait",
        "true", "type", "unsafe", "use", "where",
    ];
    if RESERVED.contains(&field) || field == "while" {
        format!("{field}_")
    } else {
        field.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_keeps_digits_with_the_word_before() {
        let cases = [
            ("Conv2DOptions", "conv2d_options"),
            ("Pool2DOptions", "pool2d_options"),
            ("BatchMatMulOptions", "batch_mat_mul_options"),
            ("PadV2Options", "pad_v2_options"),
            ("L2NormOptions", "l2_norm_options"),
            ("SVDFOptions", "svdf_options"),
            ("SequenceRNNOptions", "sequence_rnn_options"),
            ("BatchToSpaceNDOptions", "batch_to_space_nd_options"),
            ("AddNOptions", "add_n_options"),
            ("Rfft2dOptions", "rfft2d_options"),
            (
                "NonMaxSuppressionV4Options",
                "non_max_suppression_v4_options",
            ),
            ("Int32Vector", "int32_vector"),
            ("Model", "model"),
        ];
        for (camel, snake) in cases {
            assert_eq!(snake_case(camel), snake);
        }
    }

    #[test]
    fn accessor_escapes_what_rust_reserves() {
        for (field, name) in [("type", "type_"), ("while", "while_"), ("shape", "shape")] {
            assert_eq!(accessor(field), name);
        }
    }
}
