//! The form of a line that libedgetpu writes: `I file.cc:12] text`.

use std::borrow::Cow;

/// Level of a line in libedgetpu's form `I file.cc:12] text`; `None` for any other line.
pub(crate) fn level(line: &str) -> Option<log::Level> {
    let (letter, rest) = line.split_once(' ')?;
    let level = match letter {
        "I" => log::Level::Info,
        "W" => log::Level::Warn,
        "E" | "F" => log::Level::Error,
        _ => return None,
    };
    let (place, _) = rest.split_once("] ")?;
    is_place(place).then_some(level)
}

/// The line that says most about a failed open: the last one that speaks of a failure, else the last one; without the
/// level and the place in libedgetpu's source.
pub(crate) fn reason(lines: &[String]) -> Option<String> {
    let speaks = |line: &&String| line.contains("ailed") || line.contains("rror");
    let line = lines.iter().rev().find(speaks).or(lines.last())?;
    Some(words(line).to_owned())
}

/// A line of libedgetpu without its level and its place in the source; any other line as it is.
pub(crate) fn words(line: &str) -> &str {
    match (level(line), line.split_once("] ")) {
        (Some(_), Some((_, text))) => text,
        _ => line,
    }
}

/// A line as it goes to `log`: the place behind the text, so that what a logger writes to stderr is not taken for a line of
/// libedgetpu again.
pub(super) fn message(line: &str) -> Cow<'_, str> {
    match (level(line), line.split_once("] ")) {
        (Some(_), Some((head, text))) => Cow::Owned(format!("{text} ({})", &head[2..])),
        _ => Cow::Borrowed(line),
    }
}

/// Whether a line, whatever is in front of it, ends as a [`message`] does.
pub(super) fn is_message(line: &str) -> bool {
    let place = line
        .strip_suffix(')')
        .and_then(|line| line.rsplit_once(" ("));
    place.is_some_and(|(_, place)| is_place(place))
}

/// Whether this is `file.cc:12`.
fn is_place(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(file, number)| {
        !file.contains(' ')
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether these bytes, without an end of line, can still become a line in libedgetpu's form.
pub(super) fn may_become_log_line(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [letter] => b"IWEF".contains(letter),
        [letter, space, rest @ ..] => {
            let place = rest.split(|&byte| byte == b']').next().unwrap_or(rest);
            b"IWEF".contains(letter) && *space == b' ' && !place.contains(&b' ')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_knows_the_lines_of_libedgetpu() {
        let cases = [
            (
                "I driver/driver_factory.cc:78] Failed to open /dev/apex_0\n",
                Some(log::Level::Info),
            ),
            (
                "W driver/package_registry.cc:65] Minimum runtime\n",
                Some(log::Level::Warn),
            ),
            (
                "E driver/usb/usb_driver.cc:1208] HIB Error\n",
                Some(log::Level::Error),
            ),
            (
                "F driver/usb/usb_driver.cc:857] transfer in failed\n",
                Some(log::Level::Error),
            ),
            ("I am a sentence: 1] no\n", None),
            ("WARNING: something\n", None),
            ("I file.cc] no number\n", None),
            ("\n", None),
        ];
        for (line, expected) in cases {
            assert_eq!(level(line), expected, "{line:?}");
        }
    }

    #[test]
    fn reason_is_the_last_line_about_a_failure() {
        let lines = [
            "I driver/usb/local_usb_device.cc:944] EnumerateDevices: vendor:0x1a6e",
            "I driver/driver_factory.cc:1] Failed to open device [Apex (USB)] at [/sys/bus/usb/devices/1-2]: \
             Permission denied: USB error -3 [OpenDevice]",
            "I tflite/edgetpu_manager_direct.cc:2] closing",
        ]
        .map(str::to_owned);
        assert_eq!(
            reason(&lines).as_deref(),
            Some(
                "Failed to open device [Apex (USB)] at [/sys/bus/usb/devices/1-2]: Permission denied: USB error -3 \
                 [OpenDevice]"
            )
        );
        assert_eq!(
            reason(&lines[..1]).as_deref(),
            Some("EnumerateDevices: vendor:0x1a6e")
        );
        assert_eq!(reason(&[]), None);
    }

    #[test]
    fn a_message_is_known_for_one_whatever_a_logger_puts_in_front() {
        let line = "W driver/usb.cc:12] hot [1] again";
        assert_eq!(message(line), "hot [1] again (driver/usb.cc:12)");
        for line in [
            "hot (usb.cc:12)",
            "W main.rs:7] hot (usb.cc:12)",
            "W hot (usb.cc:12)",
        ] {
            assert!(is_message(line), "{line:?}");
        }
        for line in [
            line,
            "plain",
            "(a:1",
            "W a.cc:1] word (usb)",
            "W a.cc:1] no (a:b)",
        ] {
            assert!(!is_message(line), "{line:?}");
        }
    }

    #[test]
    fn beginnings_of_log_lines_are_told_from_other_text() {
        for bytes in [
            "",
            "F",
            "F ",
            "F driver/usb",
            "E a.cc:12",
            "I a.cc:12] some text",
        ] {
            assert!(may_become_log_line(bytes.as_bytes()), "{bytes:?}");
        }
        for bytes in ["Password: ", "In", "A.cc", "F two words"] {
            assert!(!may_become_log_line(bytes.as_bytes()), "{bytes:?}");
        }
    }
}
