extension FixedWidthInteger {
    /// The whole number nearest to `value` that this type has; 0 for what is no number.
    init(saturating value: some BinaryFloatingPoint) {
        let rounded = value.rounded()
        if let exact = Self(exactly: rounded) {
            self = exact
        } else {
            self = rounded > 0 ? .max : rounded < 0 ? .min : 0
        }
    }
}
