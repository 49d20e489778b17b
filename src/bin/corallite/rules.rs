//! `corallite rules`: what `corallite check` holds a model to.

use corallite::model::rules::RULES;
use std::fmt::Write;

/// Every rule as a Markdown page, the one in docs/rules.md.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Rules on quantization parameters\n\n\
         What loading a model and `corallite check` hold its tensors to. An error refuses the model: its arithmetic would\n\
         be undefined or meaningless. A warning lets it run. This page is `corallite rules`, word for word.\n\n\
         | rule | severity | demand | remedy |\n| --- | --- | --- | --- |\n",
    );
    for rule in RULES {
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            rule.id,
            rule.severity,
            cell(rule.demand),
            cell(rule.remedy)
        );
    }
    text
}
