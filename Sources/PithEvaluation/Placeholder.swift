// Begins the target.
