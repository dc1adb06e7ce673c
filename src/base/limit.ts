// The limits that a client can meet, by their keys under `limits` in the config: what records, errors and hints call them.

export type Limit =
  | 'connections'
  | 'connectionsPerAgent'
  | 'connectionsPerAddress'
  | 'unauthenticated'
  | 'startup'
  | 'authentication'
  | 'idle'
  | 'idleInTransaction'
  | 'frame'
  | 'backlog'
  | 'preparedStatements'
  | 'prepared';
