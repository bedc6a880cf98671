import PithCore
import PithFormats
import PithModels
import PithTensor

/// How long compressing takes on this machine: an estimate from operations and a short measurement of each.
extension ModelCompressor {
    /// Seconds of all work.
    func seconds(
        _ measured: MeasuredKinds, _ schedule: LayerSchedule, _ tokens: CalibrationTokens?, _ model: LanguageModel
    ) throws(PithError) -> Double {
        let description = source.description
        var seconds = try digestSeconds()
        for id in description.tables { seconds += measured.seconds[id] ?? 0 }
        for layer in description.layers.indices {
            for matrices in schedule.gathers[layer] {
                let each = matrices.map { measured.seconds[$0] ?? 0 }
                // No thread helps another with a matrix.
                seconds += max(each.reduce(0, +) / Double(schedule.matricesTogether), each.max() ?? 0)
            }
        }
        guard let tokens else { return seconds }
        let passes = schedule.gathers.reduce(schedule.gathers.count - 1) { $0 + $1.count }
        seconds += Double(passes) * (try passSeconds(tokens, model))
        seconds += hessianSeconds(tokens)
        return seconds
    }

    /// Seconds in which the weight files are read for their digests.
    private func digestSeconds() throws(PithError) -> Double {
        guard let first = source.weightFilePaths.first else { return 0 }
        let region = try MappedFile.open(first)
        let piece = region[0..<min(region.count, 16 << 20)]
        let time = Self.time {
            var digest = SHA256()
            piece.forEachPiece { digest.update($0) }
            return digest.hexDigest()
        }
        var sizes: [Double] = []
        for path in source.weightFilePaths { sizes.append(Double(try Files.size(path).value)) }
        let longest = max(sizes.max() ?? 0, sizes.reduce(0, +) / Double(pool.threadCount))
        return time * longest / Double(max(1, piece.count))
    }

    /// Seconds in which the calibration text runs through a layer, from one sequence in the first.
    private func passSeconds(_ tokens: CalibrationTokens, _ model: LanguageModel) throws(PithError) -> Double {
        guard let parameters = source.description.layers.first?.parameters, let sequence = tokens.sequences.first
        else { return 0 }
        var model = model
        try source.open(parameters, in: &model, layouts: layouts)
        defer { source.close(parameters, in: &model) }
        let (workspace, width) = (ForwardWorkspace(), source.description.streamWidth)
        func run() -> Double {
            Self.time {
                var (states, hidden) = ([model.makeState()], Tensor(rows: sequence.count, columns: width))
                for i in hidden.values.indices { hidden.values[i] = Float(i % 17) / 17 - 0.5 }
                workspace.prepare(model, [sequence.count], states)
                model.runLayer(0, &hidden, &states, workspace)
                return hidden
            }
        }
        // The first time reads the weights.
        _ = run()
        return run() * Double(tokens.rows) / Double(sequence.count)
    }

    /// Seconds in which the products of inputs with themselves are added up, from narrow inputs.
    private func hessianSeconds(_ tokens: CalibrationTokens) -> Double {
        guard pipelines.values.contains(where: { $0.needs == .hessian }) else { return 0 }
        let (width, count) = (1024, 512)
        let rows = Tensor(rows: count, columns: width)
        var statistics = InputStatistics(width: width, gathering: .hessian)
        let time = Self.time { statistics.add(rows, pool: pool) }
        let squares = source.description.layers.indices.reduce(0.0) { sum, layer in
            source.description.inputs(ofLayer: layer).reduce(sum) { sum, readers in
                guard needs(of: readers) == .hessian else { return sum }
                let width = Double(source.description[readers[0]].shape[1])
                return sum + width * width
            }
        }
        return time * squares * Double(tokens.rows) / Double(width * width * count)
    }

    private static func time<Result>(_ body: () -> Result) -> Double {
        let start = ContinuousClock.now
        withExtendedLifetime(body()) {}
        return (ContinuousClock.now - start).seconds
    }
}
