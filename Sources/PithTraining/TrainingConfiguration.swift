import PithCore
import PithFormats

/// A model that is trained from the beginning: its sizes, and how it learns.
@dynamicMemberLookup
public struct TrainingConfiguration: Equatable, Sendable {
    /// The sizes.
    public var model: ModelConfiguration
    /// How it learns.
    public var settings: TrainingSettings

    /// The usual settings for a model, on sequences as long as its context.
    public init(model: ModelConfiguration) {
        self.model = model
        settings = TrainingSettings(sequenceLength: model.contextLength)
    }

    /// A setting.
    public subscript<Value>(dynamicMember path: WritableKeyPath<TrainingSettings, Value>) -> Value {
        get { settings[keyPath: path] }
        set { settings[keyPath: path] = newValue }
    }

    /// A figure that follows from the settings.
    public subscript<Value>(dynamicMember path: KeyPath<TrainingSettings, Value>) -> Value { settings[keyPath: path] }
}
