// Facts in the making: what the walk over one statement has found so far. Sets in order of first finding, so that the
// same text always gives the same facts.
import type { Facts, FunctionUse, NameUse, RelationUse, SettingUse, StatementClass } from './facts.ts';

type Where = Facts['where'];

/** Weakest first but for `absent`, which says that nothing was asked. */
const WEAKEST: readonly Where[] = ['none', 'constant', 'real', 'absent'];

export class Draft {
  readonly #tags: string[] = [];
  readonly #classes = new Set<StatementClass>();
  readonly #relations = new Map<string, RelationUse>();
  readonly #functions = new Map<string, FunctionUse>();
  readonly #settings: SettingUse[] = [];
  readonly #reasons = new Set<string>();
  /** As the two above, but for what is there only because something is not built in. */
  readonly #certainClasses = new Set<StatementClass>();
  readonly #certainReasons = new Set<string>();
  readonly #operators = new Map<string, FunctionUse>();
  readonly #types = new Map<string, FunctionUse>();
  readonly #attributes = new Set<string>();
  readonly #names: NameUse[] = [];
  #where: Where = 'absent';
  #definesTemporary = false;
  #definesLasting = false;
  limit: number | null = null;
  collects = false;
  lexing = false;
  dependsOnLiterals = false;

  tag(tag: string): void {
    this.#tags.push(tag);
  }

  classes(classes: readonly StatementClass[], reason: string | null = null): void {
    this.foreign(classes, reason);
    for (const one of classes) this.#certainClasses.add(one);
    if (reason !== null) this.#certainReasons.add(reason);
  }

  /** As `classes`, because of something that is not built in: the catalog may know better. */
  foreign(classes: readonly StatementClass[], reason: string | null): void {
    for (const one of classes) this.#classes.add(one);
    if (reason !== null) this.#reasons.add(reason);
  }

  relation(schema: string | null, name: string, use: RelationUse['use']): void {
    const key = JSON.stringify([schema, name, use]);
    if (!this.#relations.has(key)) this.#relations.set(key, { schema, name, use });
  }

  function(schema: string | null, name: string): void {
    const key = JSON.stringify([schema, name]);
    if (!this.#functions.has(key)) this.#functions.set(key, { schema, name });
  }

  operator(schema: string | null, name: string): void {
    this.#operators.set(JSON.stringify([schema, name]), { schema, name });
  }

  type(schema: string | null, name: string): void {
    this.#types.set(JSON.stringify([schema, name]), { schema, name });
  }

  attribute(name: string): void {
    this.#attributes.add(name);
  }

  setting(setting: SettingUse): void {
    this.#settings.push(setting);
    this.dependsOnLiterals = true;
  }

  name(use: NameUse): void {
    this.#names.push(use);
  }

  where(where: Where): void {
    if (WEAKEST.indexOf(where) < WEAKEST.indexOf(this.#where)) this.#where = where;
  }

  /** An object is defined, changed or dropped. */
  defines(temporary: boolean): void {
    if (temporary) this.#definesTemporary = true;
    else this.#definesLasting = true;
  }

  finish(text: string): Facts {
    return {
      known: true,
      text,
      tags: this.#tags,
      classes: [...this.#classes],
      relations: [...this.#relations.values()],
      functions: [...this.#functions.values()],
      settings: this.#settings,
      where: this.#where,
      limit: this.limit,
      collects: this.collects,
      temporary: this.#definesTemporary && !this.#definesLasting,
      lexing: this.lexing,
      dependsOnLiterals: this.dependsOnLiterals,
      reasons: [...this.#reasons],
      names: this.#names,
      open: {
        classes: [...this.#certainClasses],
        reasons: [...this.#certainReasons],
        operators: [...this.#operators.values()],
        types: [...this.#types.values()],
        attributes: [...this.#attributes],
      },
    };
  }
}
