import PithCore
import PithFormats
import PithModels
import PithTensor

/// What becomes of the parts of a model.
extension ModelCompressor {
    /// What belongs to no layer: token vectors, the head, the last norm, and what a folder holds besides. `headInputs` is
    /// what calibration saw of what the head multiplies.
    func tables(_ headInputs: InputStatistics?) throws(PithError) -> [FinishedTensor] {
        let description = source.description
        let inLayers = Set(description.layers.flatMap(\.parameters))
        let parameters = description.parameters.indices.map { ParameterID($0) }.filter { !inLayers.contains($0) }
        var tensors: [FinishedTensor] = []
        for id in parameters {
            if let pipeline = try pipeline(for: id) {
                let seen = id == description.output?.matrix ? headInputs : nil
                tensors.append(try compressedTable(id, by: pipeline, statistics: seen))
            } else {
                tensors.append(try kept(id))
            }
        }
        return try tensors + otherTensors()
    }

    /// Tensors of a folder that are no parameters and may mean something to others.
    func otherTensors() throws(PithError) -> [FinishedTensor] {
        guard case .archive(let archive) = source.weights else { return [] }
        let known = Set(source.description.parameters.indices.map { source.storedName(of: ParameterID($0)) })
            .union(source.unusedNames)
        return try archive.names.filter { !known.contains($0) }.map { (name) throws(PithError) in
            FinishedTensor(name: name, parameter: nil, value: .content(TensorContent(try archive.tensor(name))))
        }
    }

    /// A parameter as it came.
    private func kept(_ id: ParameterID) throws(PithError) -> FinishedTensor {
        FinishedTensor(
            name: source.storedName(of: id), parameter: id,
            value: .content(try source.content(of: id, layouts: layouts)))
    }

    /// What compresses a parameter; nil if it stays as it is. A table that has to have a form is rounded to it.
    func pipeline(for id: ParameterID) throws(PithError) -> WeightPipeline? {
        if let pipeline = pipelines[id] { return pipeline }
        guard source.description.tables.contains(id), try form(of: id) != nil else { return nil }
        return try WeightPipeline(Spec(parsing: RoundToNearest.identifier))
    }

    private func compressedTable(
        _ id: ParameterID, by pipeline: WeightPipeline, statistics: InputStatistics?
    ) throws(PithError) -> FinishedTensor {
        let (name, shape) = (source.storedName(of: id), source.description[id].shape)
        try Memory.require(
            pipeline.memory(rows: shape[0], columns: shape[1]),
            for: "compressing \(name) by \(pipeline.spec)")
        defer { source.releaseMemory(of: id) }
        let matrix = try compress(
            source.matrix(id, layouts: layouts), called: name, by: pipeline, statistics: statistics,
            roundedTo: form(of: id))
        guard matrix is any RowDecodable else {
            throw .usage(
                "'\(pipeline.spec)' stores no single rows, which embeddings are read by", at: "embeddings",
                remedy: "for example rtn:bits=8")
        }
        return FinishedTensor(name: name, parameter: id, value: .matrix(matrix))
    }

    /// A layer: its matrices compressed, all else as it came.
    func compressed(
        _ layer: Int, _ model: inout LanguageModel, _ stream: CalibrationStream?, _ schedule: LayerSchedule?
    ) throws(PithError) -> [FinishedTensor] {
        let parameters = source.description.layers[layer].parameters
        guard parameters.contains(where: { pipelines[$0] != nil }) else {
            return try parameters.map { (id) throws(PithError) in try kept(id) }
        }
        try source.open(parameters, in: &model, layouts: layouts)
        defer { source.close(parameters, in: &model) }
        var compressed: [ParameterID: any StoredLinear] = [:]
        for list in schedule?.gathers[layer] ?? [source.description.matrices(ofLayer: layer)] {
            let matrices = list.filter { pipelines[$0] != nil }
            let needs = needs(of: matrices)
            if let stream, schedule == nil { try requireHessians(layer, model, needs, stream) }
            let seen = Set(matrices.filter { pipelines[$0]?.needs != .nothing })
            var statistics = seen.isEmpty ? [:] : try stream?.gather(seen, model, needs) ?? [:]
            let made = try compress(matrices, of: model, &statistics, schedule?.matricesTogether)
            for (id, matrix) in zip(matrices, made) { compressed[id] = matrix }
        }
        return try parameters.map { (id) throws(PithError) in
            guard let matrix = compressed[id] else { return try kept(id) }
            return FinishedTensor(name: source.storedName(of: id), parameter: id, value: .matrix(matrix))
        }
    }

    /// Compresses matrices, so many at the same time, or as many as there is memory for.
    private func compress(
        _ matrices: [ParameterID], of model: LanguageModel, _ statistics: inout [ParameterID: InputStatistics],
        _ together: Int?
    ) throws(PithError) -> [any StoredLinear] {
        // The largest first, so that no thread ends with one that the others wait for.
        let order = matrices.indices.sorted { left, right in
            (memory(matrices[right]), left) < (memory(matrices[left]), right)
        }
        var count = together == pool.threadCount ? matrices.count : together ?? 0
        if together == nil { count = try countTogether(order.map { matrices[$0] }) }
        var compressed = [(any StoredLinear)?](repeating: nil, count: matrices.count)
        for start in stride(from: 0, to: matrices.count, by: count) {
            let places = Array(order[start..<min(start + count, matrices.count)])
            let seen = places.map { statistics[matrices[$0]] }
            @Sendable func compress(_ index: Int) throws(PithError) -> any StoredLinear {
                let id = matrices[places[index]]
                guard let pipeline = pipelines[id] else { throw .fault("a matrix that nothing is done to") }
                return try self.compress(
                    model[matrix: id], called: source.description[id].name, by: pipeline, statistics: seen[index],
                    roundedTo: form(of: id))
            }
            // One alone has all threads.
            var made: [any StoredLinear] = []
            if places.count == 1 {
                made = [try compress(0)]
            } else {
                made = try pool.map(places.count) { (index) throws(PithError) in try compress(index) }
            }
            for (place, matrix) in zip(places, made) {
                compressed[place] = matrix
                statistics[matrices[place]] = nil
            }
        }
        return compressed.compactMap { $0 }
    }

    /// Bytes that compressing a matrix of a layer takes.
    func memory(_ id: ParameterID) -> Int {
        let shape = source.description[id].shape
        return pipelines[id]?.memory(rows: shape[0], columns: shape[1]) ?? 0
    }

    /// How many of some matrices, the largest first, are given to the threads at a time: all if there is memory for as
    /// many as threads can work on, else as many as there is memory for.
    private func countTogether(_ matrices: [ParameterID]) throws(PithError) -> Int {
        let threads = min(pool.threadCount, matrices.count)
        for count in stride(from: threads, to: 1, by: -1) {
            let bytes = matrices.prefix(count).reduce(Self.slack) { $0 + memory($1) }
            if (try? Memory.require(bytes, for: "")) != nil { return count == threads ? matrices.count : count }
        }
        guard let largest = matrices.first else { return 1 }
        try Memory.require(
            memory(largest) + Self.slack,
            for: "compressing \(source.description[largest].name) by \(pipelines[largest]?.spec ?? plan.weights)")
        return threads == 1 ? matrices.count : 1
    }

    /// What BLAS and the heaps of threads take beside.
    static let slack = 192 << 20

    private func compress(
        _ original: any LinearOperator, called name: String, by pipeline: WeightPipeline, statistics: InputStatistics?,
        roundedTo form: (any GridForm)?
    ) throws(PithError) -> any StoredLinear {
        if let form { try pipeline.check(form) }
        try Memory.require(
            4 * original.outputCount * original.inputCount, for: "the weights of \(name) in single precision")
        let seen =
            pipeline.needs == .nothing
            ? nil : statistics ?? InputStatistics.uniform(width: original.inputCount, gathering: pipeline.needs)
        return try pipeline.compress(
            name: name, weight: original.denseWeight(pool: pool),
            originalType: (original as? DenseOperator)?.weight.type, statistics: seen, form: form, seed: seed,
            pool: pool)
    }

    /// What the format asks a parameter to be rounded to.
    func form(of id: ParameterID) throws(PithError) -> (any GridForm)? {
        guard let format else { return nil }
        return try format.form(id)
    }

    /// Asks for sums of products with themselves of all inputs of a layer, in double precision, for the rows that wait,
    /// and for what is made of the first sequences before there are sums.
    private func requireHessians(
        _ layer: Int, _ model: LanguageModel, _ needs: CalibrationNeeds, _ stream: CalibrationStream
    ) throws(PithError) {
        guard needs == .hessian else { return }
        let description = model.description
        let widths = description.inputs(ofLayer: layer).map { description[$0[0]].shape[1] }
        try Memory.require(
            widths.reduce(Self.slack + stream.memoryOfPass(model)) {
                $0 + InputStatistics.memory(width: $1, gathering: needs)
            }, for: "the Hessians of a layer's inputs")
    }
}
