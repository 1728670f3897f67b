//! The part of JSON Schema that openapi.json uses. A keyword that is not known here fails the test, so nothing in that
//! file goes unchecked.

use serde_json::{Map, Value};

/// Keywords for people.
const FOR_PEOPLE: [&str; 1] = ["description"];

/// Why a value does not fit.
pub type Misfit = String;

/// A document with `#/components/...` to refer to.
pub struct Schemas(pub Value);

impl Schemas {
    /// Follows a reference, if this is one.
    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(place) => {
                let place = place.strip_prefix('#').expect("a reference within the file");
                self.0.pointer(place).unwrap_or_else(|| panic!("{place} is not there"))
            }
            None => schema,
        }
    }

    /// Whether a value fits a schema.
    pub fn check(&self, schema: &Value, value: &Value) -> Result<(), Misfit> {
        let schema = self.resolve(schema).as_object().expect("a schema is an object");
        for (keyword, argument) in schema {
            self.check_keyword(keyword, argument, schema, value)
                .map_err(|why| format!("{why}, in {}", short(value)))?;
        }
        Ok(())
    }

    fn check_keyword(
        &self,
        keyword: &str,
        argument: &Value,
        schema: &Map<String, Value>,
        value: &Value,
    ) -> Result<(), Misfit> {
        match keyword {
            "type" => is_of_type(argument, value),
            "const" => demand(value == argument, || format!("not {argument}")),
            "enum" => demand(items(argument).contains(value), || format!("none of {argument}")),
            "minimum" => {
                demand(value.as_i64() >= argument.as_i64() || value.is_null(), || format!("below {argument}"))
            }
            "minLength" => {
                demand(length(value).is_none_or(|length| length >= number(argument)), || "too short".into())
            }
            "maxLength" => {
                demand(length(value).is_none_or(|length| length <= number(argument)), || "too long".into())
            }
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| self.check(argument, item)),
            "required" => items(argument).iter().try_for_each(|name| {
                demand(value.get(name.as_str().unwrap()).is_some(), || format!("{name} is missing"))
            }),
            "properties" => self.check_properties(argument, value),
            "additionalProperties" => self.check_additional(argument, schema, value),
            "anyOf" | "oneOf" => self.check_alternatives(keyword, items(argument), value),
            _ if FOR_PEOPLE.contains(&keyword) => Ok(()),
            _ => panic!("{keyword} is no keyword that this test knows"),
        }
    }

    fn check_properties(&self, schemas: &Value, value: &Value) -> Result<(), Misfit> {
        schemas.as_object().expect("properties by name").iter().try_for_each(|(name, schema)| {
            let property = value.get(name);
            property.map_or(Ok(()), |property| {
                self.check(schema, property).map_err(|why| format!("{name}: {why}"))
            })
        })
    }

    fn check_additional(
        &self,
        allowed: &Value,
        schema: &Map<String, Value>,
        value: &Value,
    ) -> Result<(), Misfit> {
        let known = |name: &str| schema.get("properties").is_some_and(|known| known.get(name).is_some());
        let others = value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
        others.into_iter().try_for_each(|(name, property)| match allowed {
            Value::Bool(allowed) => demand(*allowed, || format!("{name} is not described")),
            schema => self.check(schema, property),
        })
    }

    fn check_alternatives(&self, keyword: &str, schemas: &[Value], value: &Value) -> Result<(), Misfit> {
        let misfits: Vec<Misfit> =
            schemas.iter().filter_map(|schema| self.check(schema, value).err()).collect();
        let fits = schemas.len() - misfits.len();
        demand(fits == 1 || (fits > 1 && keyword == "anyOf"), || {
            format!("fits {fits} of: {}", misfits.join(" | "))
        })
    }
}

fn demand(is_so: bool, why: impl FnOnce() -> Misfit) -> Result<(), Misfit> {
    if is_so { Ok(()) } else { Err(why()) }
}

fn is_of_type(names: &Value, value: &Value) -> Result<(), Misfit> {
    let is = |name: &Value| match name.as_str().expect("a type's name") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    };
    let one = std::slice::from_ref(names);
    let names = names.as_array().map_or(one, Vec::as_slice);
    demand(names.iter().any(is), || format!("none of the types {names:?}"))
}

fn items(argument: &Value) -> &[Value] {
    argument.as_array().expect("a list")
}

fn number(argument: &Value) -> usize {
    usize::try_from(argument.as_u64().expect("a number")).unwrap()
}

fn length(value: &Value) -> Option<usize> {
    value.as_str().map(|text| text.chars().count())
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}

mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_found() {
        let name = json!({ "type": "string", "minLength": 1, "maxLength": 3 });
        let schemas = Schemas(json!({ "components": { "name": name } }));
        let schema = json!({
            "type": "object", "required": ["a"], "additionalProperties": false,
            "properties": {
                "a": { "$ref": "#/components/name" },
                "b": { "type": ["integer", "null"], "minimum": 2 },
                "c": { "type": "array", "items": { "enum": [1, null] } },
                "d": { "oneOf": [{ "const": 1 }, { "type": "integer" }] },
                "e": { "anyOf": [{ "const": 1 }, { "type": "integer" }] },
            },
        });
        for good in [json!({ "a": "x" }), json!({ "a": "xyz", "b": null, "c": [1, null], "d": 2, "e": 1 })] {
            assert_eq!(schemas.check(&schema, &good), Ok(()));
        }
        for bad in [
            json!([]),
            json!({}),
            json!({ "a": 1 }),
            json!({ "a": "" }),
            json!({ "a": "wxyz" }),
            json!({ "a": "x", "z": 1 }),
            json!({ "a": "x", "b": 1 }),
            json!({ "a": "x", "b": 2.5 }),
            json!({ "a": "x", "c": [2] }),
            json!({ "a": "x", "d": 1 }),
            json!({ "a": "x", "e": "1" }),
        ] {
            assert!(schemas.check(&schema, &bad).is_err(), "{bad}");
        }
    }
}
