//! `corallite rules`: what models are held to.

use corallite::model::rules::RULES;
use std::fmt::Write;

/// Every rule as a Markdown page, the one in docs/rules.md.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Rules on quantization parameters\n\n\
         What models are held to. An error refuses the model: its arithmetic would be undefined or meaningless. A warning\n\
         lets it run. Rules of `check` are those of loading, of building an interpreter and of `corallite check`;\n\
         `corallite qat lint` applies these and its own, with `--edgetpu` all. This page is `corallite rules`, word for word.\n\n\
         | rule | by | severity | demand | remedy |\n| --- | --- | --- | --- | --- |\n",
    );
    for rule in RULES {
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            rule.id,
            rule.stage,
            rule.severity,
            cell(rule.demand),
            cell(rule.remedy)
        );
    }
    text
}
