import PithCore
import PithFormats
import PithModels
import PithTensor

extension Trainer {
    /// Writes what was learned: a Hugging Face folder, the weights rounded as the settings say, or a folder of adapters
    /// as PEFT has them. The tokenizer of a new model is not the trainer's to write.
    public func exportModel(to folder: String) throws(PithError) {
        switch origin {
        case .sizes(var sizes):
            let type = settings.outputType ?? .bfloat16
            sizes.elementType = type
            let form = FolderForm(places: model.parameterSet.entries.map { ($0.name, type) })
            try form.write(model.description, to: folder) { (id) throws(PithError) in value(of: id) }
            try Llama.document(sizes).write(to: joinPath(folder, ModelConfiguration.fileName))
        case .model(let base):
            if let adaptation = model.adaptation {
                try adaptation.adapter(model.parameterSet, model.weights)
                    .write(to: folder, for: model.description, base: base.source.path)
            } else {
                try base.source.export(to: folder, weightsAs: settings.outputType) {
                    (id) throws(PithError) in value(of: id)
                }
            }
        }
    }

    /// All parameters learn, and stand in the order of the description.
    private func value(of id: ParameterID) -> Tensor {
        model.parameterSet.values(model.parameterSet.entries[id.index], of: model.weights)
    }
}

extension Adaptation {
    /// What was learned, as others use it.
    func adapter(_ set: ParameterSet, _ weights: FloatBuffer) -> Adapter {
        var adapter = Adapter()
        func values(_ place: Int) -> Tensor { set.values(set.entries[place], of: weights) }
        adapter.changes = lowRank.sorted { $0.key.index < $1.key.index }.map { id, change in
            (id, Adapter.LowRankChange(a: values(change.a), b: values(change.b), scale: change.scale))
        }
        adapter.values = learned.map { ($0.id, values($0.place)) }
        adapter.prompt = prompt.map(values)
        return adapter
    }
}
