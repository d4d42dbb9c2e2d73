// The devdev command: parse, call the client, print. It holds no logic that the client lacks.
