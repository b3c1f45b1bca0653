//! YAML as JSON, remembering where each value stands, so that a finding can name line and column.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, ScanError, YamlData};
use saphyr_parser::{Event, Parser};
use serde_json::{Map, Number, Value};

/// A document and the place of every value, by JSON pointer.
#[derive(Debug)]
pub struct Document {
    pub value: Value,
    places: BTreeMap<String, Place>,
}

/// Both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("line {}, column {}: {what}", .place.line, .place.column)]
pub struct YamlError {
    pub place: Place,
    pub what: String,
}

impl Document {
    /// The place of a value, or of the nearest one around it.
    pub fn place(&self, pointer: &str) -> Option<Place> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return Some(*place);
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
    }
}

/// One document; JSON is YAML too. Anchors are refused, because a few bytes of them can stand for
/// gigabytes, and so are values JSON does not have.
pub fn parse(text: &str) -> Result<Document, YamlError> {
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(scan_error)?;
        if matches!(event, Event::Alias(_)) {
            let place = place(span.start.line(), span.start.col());
            return Err(YamlError { place, what: "anchors and aliases are not taken".to_owned() });
        }
    }
    let documents = MarkedYaml::load_from_str(text).map_err(scan_error)?;
    let [root] = documents.as_slice() else {
        let what = format!("one document is expected, there are {}", documents.len());
        return Err(YamlError { place: place(1, 0), what });
    };
    let mut places = BTreeMap::new();
    let value = json(root, String::new(), &mut places)?;
    Ok(Document { value, places })
}

fn json(
    node: &MarkedYaml<'_>,
    pointer: String,
    places: &mut BTreeMap<String, Place>,
) -> Result<Value, YamlError> {
    let here = place(node.span.start.line(), node.span.start.col());
    let refuse = |what: &str| YamlError { place: here, what: what.to_owned() };
    let value = match &node.data {
        YamlData::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(truth) => Value::Bool(*truth),
            Scalar::Integer(number) => Value::from(*number),
            Scalar::FloatingPoint(number) => Number::from_f64(number.into_inner())
                .map(Value::Number)
                .ok_or_else(|| refuse("a number that JSON does not have"))?,
            Scalar::String(text) => Value::String(text.to_string()),
        },
        YamlData::Sequence(entries) => {
            let entries = entries.iter().enumerate();
            Value::Array(
                entries
                    .map(|(index, entry)| json(entry, format!("{pointer}/{index}"), places))
                    .collect::<Result<_, _>>()?,
            )
        }
        YamlData::Mapping(members) => {
            let mut object = Map::new();
            for (key, member) in members {
                let YamlData::Value(Scalar::String(name)) = &key.data else {
                    let at = place(key.span.start.line(), key.span.start.col());
                    return Err(YamlError { place: at, what: "a member's name is text".to_owned() });
                };
                let escaped = name.replace('~', "~0").replace('/', "~1");
                let value = json(member, format!("{pointer}/{escaped}"), places)?;
                object.insert(name.to_string(), value);
            }
            Value::Object(object)
        }
        _ => return Err(refuse("a tag or value that JSON does not have")),
    };
    places.insert(pointer, here);
    Ok(value)
}

fn scan_error(error: ScanError) -> YamlError {
    let marker = error.marker();
    YamlError { place: place(marker.line(), marker.col()), what: error.info().to_owned() }
}

/// The parser counts columns from 0.
fn place(line: usize, column: usize) -> Place {
    Place { line, column: column + 1 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let document = parse("name: hotfix\nsteps:\n  - number: 1\n    items: [a, b]\n").unwrap();
        assert_eq!(document.value, json!({"name": "hotfix", "steps": [{"number": 1, "items": ["a", "b"]}]}));
        assert_eq!(document.place("/steps/0/number"), Some(Place { line: 3, column: 13 }));
        assert_eq!(document.place("/steps/0/missing/deeper"), document.place("/steps/0"));
    }

    #[test]
    fn what_json_does_not_have_is_refused_with_its_place() {
        for (text, line) in [("a: 1\nb: .nan\n", 2), ("a: &x 1\nb: *x\n", 2), ("1: a\n", 1), ("a: [1\n", 2)] {
            assert_eq!(parse(text).unwrap_err().place.line, line, "{text}");
        }
        assert!(parse("a: 1\n---\nb: 2\n").is_err());
        assert!(parse("a: 1\na: 2\n").is_err());
    }

    #[test]
    fn json_is_taken_as_it_is() {
        assert_eq!(
            parse(r#"{"a": [1, 2.5, "x", null, true]}"#).unwrap().value,
            json!({"a": [1, 2.5, "x", null, true]})
        );
    }
}
