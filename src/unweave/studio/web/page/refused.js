// What cannot be done, by the code and values of a sentence in words.js.
export const refused = (code, values = {}) => Object.assign(new Error(code), { code, values });
