extension ModelLibrary {
    /// The built-in models by name, others by their folder. `override` is opened instead of any.
    public static func standard(override: String? = nil) -> ModelLibrary { .none }
}
