//! The fields of a struct, of a map, or of one variant of a tagged enum.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer as _, MapAccess, Visitor};

use super::deserializer::Tracer;
use super::pass::{Pass, PassGoal};
use super::refused::Refused;
use super::traced_type::TracedObject;

impl TracedObject {
    /// Offers the fields to a visitor, after the tag and its value if there is one, and records
    /// what is refused.
    pub(super) fn visit<'de, V: Visitor<'de>>(
        &mut self,
        tag: Option<(&str, &'static str)>,
        pass: &Pass<'_>,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let mut fields = ObjectFields {
            object: self,
            pass,
            tag,
            next: 0,
            offered: None,
        };
        let result = visitor.visit_map(&mut fields);
        let offered = fields.offered;
        result.map_err(|refused| self.learn(refused, offered, pass))
    }
}

/// The fields as serde reads them.
struct ObjectFields<'a> {
    object: &'a mut TracedObject,
    pass: &'a Pass<'a>,
    tag: Option<(&'a str, &'static str)>,
    next: usize,
    /// The field whose key was offered last.
    offered: Option<usize>,
}

impl<'de> MapAccess<'de> for &mut ObjectFields<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        if let Some((tag, _)) = self.tag {
            return seed.deserialize(text(tag)).map(Some);
        }
        while let Some(field) = self.object.fields.get_mut(self.next) {
            let index = self.next;
            self.next += 1;
            if field.traced.is_refused {
                continue;
            }
            if self.pass.goal == PassGoal::Required && !field.is_probed && !self.pass.left_out.get()
            {
                field.is_probed = true;
                self.pass.left_out.set(true);
                self.pass.learned.set(true);
                continue;
            }
            self.offered = Some(index);
            return seed.deserialize(text(&field.name)).map(Some);
        }
        // The sample entry of a map is offered once.
        if let Some(others) = &mut self.object.others
            && self.object.fields.is_empty()
            && self.next == 0
            && !others.is_refused
        {
            self.next = 1;
            let key = seed.deserialize(text(""));
            return key
                .map(Some)
                .map_err(|refused| others.refuse(self.pass, refused));
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        if let Some((_, name)) = self.tag.take() {
            return seed.deserialize(text(name));
        }
        let (traced, is_field) = match (self.offered, &mut self.object.others) {
            (Some(index), _) => (&mut self.object.fields[index].traced, true),
            (None, Some(others)) => (&mut **others, false),
            (None, None) => return Err(Refused::Other),
        };
        match seed.deserialize(Tracer::new(traced, self.pass)) {
            Err(tag @ Refused::UnknownVariant(_)) if is_field => Err(tag),
            result => result.map_err(|refused| traced.refuse(self.pass, refused)),
        }
    }
}

fn text(text: &str) -> StrDeserializer<'_, Refused> {
    text.into_deserializer()
}
