// The part of JSON Schema that the form reads. An agent may send any value as a schema.

const TYPES = ['string', 'integer', 'number', 'boolean', 'object', 'array', 'null'];

/** The keywords that the form reads, and whether their values are of the right type. */
const KEYWORDS = {
  type: (value) => TYPES.includes(value),
  enum: Array.isArray,
  properties: isObject,
  required: Array.isArray,
  title: (value) => typeof value === 'string',
  description: (value) => typeof value === 'string',
  format: (value) => typeof value === 'string',
  minimum: (value) => typeof value === 'number',
  maximum: (value) => typeof value === 'number',
};

/**
 * Returns a schema as the controls read it: without `null`, with a choice among constants as an
 * `enum`, and without keywords that have a wrong type. References stay: an agent's schema has them
 * for recursive types only, and a field with one is edited as JSON.
 */
function simplified(schema) {
  if (!isObject(schema)) return {};
  const { anyOf, oneOf = anyOf, ...rest } = schema;
  let own = rest;
  const options = (Array.isArray(oneOf) ? oneOf : []).filter((option) => !isNull(option));
  if (options.length === 1) own = { ...simplified(options[0]), ...own };
  else if (options.length && options.every((option) => constantsOf(option))) own.enum = options.flatMap(constantsOf);
  if (Array.isArray(own.type)) {
    const types = own.type.filter((type) => type !== 'null');
    own.type = types.length === 1 ? types[0] : undefined;
  }
  for (const [keyword, isValid] of Object.entries(KEYWORDS)) if (!isValid(own[keyword])) delete own[keyword];
  if (own.enum) own.enum = own.enum.filter((value) => value !== null);
  return own;
}

/** Whether a schema allows only `null`. */
function isNull(schema) {
  return isObject(schema) && (schema.type === 'null' || schema.const === null);
}

/** Returns the values that a schema allows, if it lists them; otherwise undefined. */
function constantsOf(schema) {
  if (!isObject(schema)) return undefined;
  if (Array.isArray(schema.enum)) return schema.enum;
  return Object.hasOwn(schema, 'const') ? [schema.const] : undefined;
}

/** Whether a form can be created for a schema, which must be simplified. */
function hasForm(schema) {
  return Boolean(
    schema.enum ||
    ['string', 'integer', 'number', 'boolean'].includes(schema.type) ||
    (schema.type === 'object' && Object.keys(schema.properties ?? {}).length > 0),
  );
}
