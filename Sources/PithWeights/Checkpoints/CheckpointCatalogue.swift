import PithModels

/// The formats of other programs' quantised folders.
package enum CheckpointCatalogue {
    /// A new format is a file here and a line.
    package static let writers: [any CheckpointWriter.Type] = [
        GPTQCheckpoint.self, AWQCheckpoint.self, CompressedTensors.self, MLXCheckpoint.self,
    ]

    static let all: [any CheckpointFormat.Type] = writers
}
