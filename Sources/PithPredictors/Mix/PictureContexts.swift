/// Pixels around the next, for raw pictures of one bit, eight bits or three times eight bits a pixel.
struct PictureContexts {
    private let content: MixSettings.Content
    private let width: Int

    init(_ settings: MixSettings) {
        content = settings.content
        width = max(settings.width, 1)
    }

    var count: Int {
        switch content {
        case .image1: 10
        case .image8: 22
        case .image24: 24
        default: 0
        }
    }

    func add(_ history: History, to bank: inout ContextBank) {
        switch content {
        case .image1: addBilevel(history, to: &bank)
        case .image8: addGrey(history, to: &bank)
        case .image24: addColour(history, to: &bank)
        default: break
        }
    }

    /// Eight pixels a byte: whole bytes above and beside.
    private func addBilevel(_ history: History, to bank: inout ContextBank) {
        func byte(_ rows: Int, _ columns: Int) -> UInt64 { UInt64(history.byte(rows * width + columns)) }
        let (w, ww, n, nw, ne) = (byte(0, 1), byte(0, 2), byte(1, 0), byte(1, 1), byte(1, -1))
        let (nn, nnw, nne, nnn) = (byte(2, 0), byte(2, 1), byte(2, -1), byte(3, 0))
        bank.add(Hash.combine(n << 8 | w, UInt64(1)))
        bank.add(Hash.combine(n << 16 | nw << 8 | w, UInt64(2)))
        bank.add(Hash.combine(n << 16 | ne << 8 | w, UInt64(3)))
        bank.add(Hash.combine(n << 24 | nn << 16 | w << 8 | ne, UInt64(4)))
        bank.add(Hash.combine(n << 24 | nn << 16 | nnn << 8 | w, UInt64(5)))
        bank.add(Hash.combine(n << 16 | nn << 8 | w & 15, UInt64(6)))
        bank.add(Hash.combine(nw << 40 | n << 32 | ne << 24 | nn << 16 | w << 8 | ww, UInt64(7)))
        bank.add(
            Hash.combine(nnw << 40 | nn << 32 | nne << 24 | n << 16 | w << 8 | (nw & 15) << 4 | ne >> 4, UInt64(8)))
        bank.add(Hash.combine(n, UInt64(9)))
        bank.add(Hash.combine(nn << 16 | n << 8 | nnn, UInt64(10)))
    }

    private func addGrey(_ history: History, to bank: inout ContextBank) {
        func pixel(_ rows: Int, _ columns: Int) -> Int { Int(history.byte(rows * width + columns)) }
        let (w, ww, n, nn, nw, ne) = (pixel(0, 1), pixel(0, 2), pixel(1, 0), pixel(2, 0), pixel(1, 1), pixel(1, -1))
        let (nne, www) = (pixel(2, -1), pixel(0, 3))
        func clamped(_ value: Int) -> Int { min(max(value, 0), 255) }
        let gradient = w + n - nw
        let values = [
            w << 8 | n, clamped(gradient) << 8 | 255, clamped(gradient) << 8 | ((w - nw) >> 3 & 255),
            clamped(w + ne - n), clamped(n * 2 - nn), clamped(w * 2 - ww), clamped((w + ne) / 2), clamped((w + n) / 2),
            clamped((w * 3 - ww * 3 + www)), clamped(n + ne - nne), clamped(n + nw - pixel(2, 1)), w << 8 | nw,
            n << 8 | ne,
            w << 16 | n << 8 | nw, n << 16 | ne << 8 | w, clamped((n + w + ne + nw + 2) / 4) << 8 | (abs(n - w) >> 2),
            clamped(gradient) << 8 | clamped(w + ne - n), clamped((gradient + n + w + 1) / 3), n, w,
            (clamped(gradient) >> 2) << 12 | (w >> 3) << 6 | n >> 3, clamped((w + n * 3 - nn * 3 + pixel(3, 0)) / 2),
        ]
        for (index, value) in values.enumerated() { bank.add(Hash.combine(UInt64(value), UInt64(index + 100))) }
    }

    private func addColour(_ history: History, to bank: inout ContextBank) {
        let plane = history.position % 3
        func sample(_ rows: Int, _ columns: Int) -> Int { Int(history.byte(rows * width + columns)) }
        let (w, ww, n, nn, nw, ne) = (
            sample(0, 3), sample(0, 6), sample(1, 0), sample(2, 0), sample(1, 3), sample(1, -3)
        )
        // The planes of this pixel that are known, and the same planes of the pixels around.
        let (p1, p2) = (sample(0, 1), sample(0, 2))
        let (w1, n1, w2, n2) = (sample(0, 4), sample(1, 1), sample(0, 5), sample(1, 2))
        let nw1 = sample(1, 4)
        func clamped(_ value: Int) -> Int { min(max(value, 0), 255) }
        let gradient = w + n - nw
        let values = [
            w << 8 | n, clamped(gradient), clamped(gradient) << 8 | p1, clamped(w + p1 - w1), clamped(n + p1 - n1),
            clamped(w + p1 - w1) << 8 | clamped(n + p1 - n1), clamped(gradient + p1 - (w1 + n1 - nw1)),
            clamped(gradient + p1 - (w1 + n1 - nw1)) << 8 | p2, clamped(w + p2 - w2), clamped(n + p2 - n2),
            clamped((w + n) / 2 + p1 - (w1 + n1) / 2), clamped((w + n) / 2 + p2 - (w2 + n2) / 2), clamped(w + ne - n),
            clamped(n * 2 - nn), clamped(w * 2 - ww), p1 << 8 | p2, w << 16 | p1 << 8 | p2, n << 16 | p1 << 8 | p2,
            w << 16 | n << 8 | p1, n << 8 | ne, clamped((w + ne) / 2) << 8 | clamped((p1 * 2 - w1 - n1) / 2 + 128),
            w << 8 | p1, n << 8 | p1,
            clamped((w + n + p1 - w1 + p1 - n1) / 2) << 8 | abs(w - n) >> 2,
        ]
        for (index, value) in values.enumerated() {
            bank.add(Hash.combine(UInt64(value * 3 + plane), UInt64(index + 200)))
        }
    }
}
