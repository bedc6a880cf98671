import PithCore
import PithModels
import PithTensor

/// Turns choices among predicted ones into bytes.
protocol ChoiceEncoder: Sendable {
    /// What is written for a choice.
    associatedtype Code: Sendable
    /// What to write for `choice` where `logits` predict it; called on any thread.
    static func code(of choice: Int, _ logits: [Float]) throws(PithError) -> Code
    /// The bits that a code is sure to take, for traces.
    static func bits(of code: Code) -> Double
    init()
    mutating func write(_ code: Code)
    /// Writes a byte that nothing predicts.
    mutating func write(byte: UInt8)
    consuming func finish() -> [UInt8]
}

/// Reads what a `ChoiceEncoder` wrote.
protocol ChoiceDecoder: Sendable {
    init(_ payload: CodedPayload) throws(PithError)
    mutating func read(_ logits: [Float]) throws(PithError) -> Int
    mutating func readByte() throws(PithError) -> UInt8
}

/// Codes bytes symbol by symbol under a model's predictions.
struct TokenCoding: Sendable {
    /// What is chosen among at each step.
    enum Choices: String, CaseIterable, Sendable {
        /// The tokens of the model's own tokenizer.
        case tokens
        /// Single bytes, each of which the model reads as the token that stands for it.
        case bytes
    }

    let model: LanguageModel
    let alphabet: TokenAlphabet
    let window: ContextWindow
    let choices: Choices

    /// Rows of logits that are held at a time.
    private static let rowsTogether = 64

    private func makeContext() -> SlidingContext {
        SlidingContext(model, window: window, beginToken: alphabet.beginToken)
    }

    /// Which of the logits that `choiceLogits` gives is a symbol's.
    private func choice(of symbol: Int) -> Int {
        choices == .bytes ? Int(alphabet.bytes(of: symbol).first ?? 0) : min(symbol, alphabet.vocabularySize)
    }

    /// The logits of all choices, given those of tokens: a byte without a token is as likely as the least likely token.
    private func choiceLogits(_ logits: ArraySlice<Float>) -> [Float] {
        if choices == .bytes {
            return alphabet.byteSymbols.map {
                $0 < logits.count ? logits[logits.startIndex + $0] : logits.min() ?? 0
            }
        }
        return Array(logits) + (alphabet.hasEscapes ? [logits.min() ?? 0] : [])
    }
}

// MARK: Encoding

extension TokenCoding {
    /// Codes `input`, which begins at `offset` of all that is coded.
    func encode<Encoder: ChoiceEncoder>(
        _ input: ArraySlice<UInt8>, to encoder: consuming Encoder, _ context: CodingContext
    ) throws(PithError) -> [UInt8] {
        let predictor = TokenPredictor(model)
        var sliding = makeContext()
        var start = input.startIndex
        while start < input.endIndex {
            let end = TokenAlphabet.endOfPiece(from: start, in: input)
            let symbols =
                choices == .bytes
                ? input[start..<end].map { alphabet.byteSymbols[Int($0)] } : alphabet.symbols(of: input[start..<end])
            var (rest, offset) = (symbols[...], start)
            while !rest.isEmpty {
                let block = rest.prefix(sliding.makeRoom(model))
                let hidden = try predictor.hiddenStates(predicting: block.map(alphabet.token), &sliding)
                for row in stride(from: 0, to: block.count, by: Self.rowsTogether) {
                    let rows = row..<min(row + Self.rowsTogether, block.count)
                    let part = block.dropFirst(row).prefix(rows.count)
                    let codes: [Encoder.Code] = try codes(part, predictor.logits(of: hidden, rows: rows), Encoder.self)
                    for (symbol, code) in zip(part, codes) {
                        encoder.write(code)
                        if symbol >= alphabet.vocabularySize, choices == .tokens {
                            encoder.write(byte: UInt8(truncatingIfNeeded: symbol - alphabet.vocabularySize))
                        }
                        context.trace?.add(bits: Encoder.bits(of: code), at: offset)
                        offset += alphabet.byteCount(of: symbol)
                    }
                }
                rest = rest.dropFirst(block.count)
            }
            context.advance(end - start)
            start = end
        }
        return encoder.finish()
    }

    /// The codes of some symbols, of which each has a row of `logits`.
    private func codes<Encoder: ChoiceEncoder>(
        _ symbols: ArraySlice<Int>, _ logits: Tensor, _ type: Encoder.Type
    ) throws(PithError) -> [Encoder.Code] {
        try model.pool.map(symbols.count, grain: 4) { (row) throws(PithError) in
            let logits = choiceLogits(logits.values[row * logits.columns..<(row + 1) * logits.columns])
            return try Encoder.code(of: choice(of: symbols[symbols.startIndex + row]), logits)
        }
    }
}

// MARK: Decoding

extension TokenCoding {
    /// A stream that is being decoded.
    private struct Stream<Decoder: ChoiceDecoder> {
        var decoder: Decoder
        let byteCount: Int
        var output: [UInt8] = []
        var failure: PithError?

        var isDone: Bool { output.count >= byteCount || failure != nil }
    }

    /// Decodes streams of `counts` bytes, which are predicted together.
    ///
    /// Appends the bytes in order, up to those that are not certain, and then throws if there are such.
    func decode<Decoder: ChoiceDecoder>(
        _ payloads: [CodedPayload], counts: [Int], with type: Decoder.Type, into output: inout [UInt8],
        _ context: CodingContext
    ) throws(PithError) {
        var (streams, failure) = ([Stream<Decoder>](), PithError?.none)
        for (payload, count) in zip(payloads, counts) where failure == nil {
            do throws(PithError) {
                streams.append(Stream(decoder: try Decoder(payload), byteCount: count))
            } catch { failure = error }
        }
        if payloads.count < counts.count, failure == nil { failure = .truncated(at: 0) }
        try run(&streams, context)
        for stream in streams {
            output += stream.output
            if let failure = stream.failure { throw failure }
        }
        if let failure { throw failure }
    }

    /// Decodes all streams to their ends or failures.
    private func run<Decoder: ChoiceDecoder>(
        _ streams: inout [Stream<Decoder>], _ context: CodingContext
    ) throws(PithError) {
        let predictor = TokenPredictor(model)
        var running = Array(streams.indices)
        var contexts = running.map { _ in makeContext() }
        while !running.isEmpty {
            for index in contexts.indices { contexts[index].makeRoom(model) }
            let logits = try predictor.nextLogits(&contexts)
            step(&streams, running, &contexts, logits, context)
            let kept = running.indices.filter { !streams[running[$0]].isDone }
            guard kept.count < running.count else { continue }
            (running, contexts) = (kept.map { running[$0] }, kept.map { contexts[$0] })
        }
    }

    /// Decodes one symbol of each of the running streams, which have a row of `logits` each.
    private func step<Decoder: ChoiceDecoder>(
        _ streams: inout [Stream<Decoder>], _ running: [Int], _ contexts: inout [SlidingContext], _ logits: Tensor,
        _ context: CodingContext
    ) {
        let width = logits.columns
        streams.withUnsafeMutableBufferPointer { streams in
            contexts.withUnsafeMutableBufferPointer { contexts in
                model.pool.forEachBlock(
                    of: running.count, grain: 1, sharing: streams, contexts
                ) { block, streams, contexts in
                    for row in block {
                        let logits = choiceLogits(logits.values[row * width..<(row + 1) * width])
                        do throws(PithError) {
                            let symbol = try read(&streams[running[row]], logits)
                            contexts[row].append(alphabet.token(of: symbol))
                            context.advance(alphabet.byteCount(of: symbol))
                        } catch { streams[running[row]].failure = error }
                    }
                }
            }
        }
    }

    /// The next symbol of a stream.
    private func read<Decoder: ChoiceDecoder>(
        _ stream: inout Stream<Decoder>, _ logits: [Float]
    ) throws(PithError) -> Int {
        let choice = try stream.decoder.read(logits)
        let symbol =
            choices == .bytes
            ? alphabet.byteSymbols[choice]
            : choice < alphabet.vocabularySize
                ? choice : alphabet.vocabularySize + Int(try stream.decoder.readByte())
        let bytes = alphabet.bytes(of: symbol)
        guard !bytes.isEmpty, stream.output.count + bytes.count <= stream.byteCount else {
            throw .invalidStream("a token does not fit the bytes that are left")
        }
        stream.output += bytes
        return symbol
    }
}
