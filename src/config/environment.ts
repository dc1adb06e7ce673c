// `${NAME}` in the values of a config file. YAML does not let braces stand unquoted inside `{ … }`, but
// `{ password: ${SHOP_PASSWORD} }` is how everybody writes it: before YAML sees the text, the braces are swapped for
// two characters that it takes for letters, of the same length, so that positions stay true.
import type { Problem } from '../base/problem.ts';
import type { YamlFile } from '../base/yaml.ts';

// Of Unicode's private use area; a file that holds them itself only gets its reference refused.
const OPEN = '\uE000';
const CLOSE = '\uE001';

const WRITTEN = /\$\{([^{}\n]*)\}/g;
const HIDDEN = new RegExp(`\\$\\$${OPEN}|\\$${OPEN}([^${CLOSE}]*)${CLOSE}`, 'g');

export function hideReferences(text: string): string {
  return text.replace(WRITTEN, `$$${OPEN}$1${CLOSE}`);
}

export function showReferences(text: string): string {
  return text.replaceAll(OPEN, '{').replaceAll(CLOSE, '}');
}

/** Puts the variables' values in. `$${NAME}` stays as `${NAME}`. A value is never printed, whatever is wrong with it. */
export function fillReferences(
  source: YamlFile,
  env: Readonly<Record<string, string | undefined>>,
): Problem[] {
  const problems: Problem[] = [];
  source.replaceStrings((text, offset) => {
    const filled = text.replace(HIDDEN, (whole, name: string | undefined) => {
      if (name === undefined) return '${';
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
        problems.push(source.problemAt(offset, `\${${name}} is not the name of an environment variable`));
        return whole;
      }
      const value = env[name];
      if (value === undefined || value === '') {
        const how = value === undefined ? 'not set' : 'empty';
        problems.push(source.problemAt(offset, `the environment variable ${name} is ${how}`));
        return whole;
      }
      return value;
    });
    return showReferences(filled);
  });
  return problems;
}
