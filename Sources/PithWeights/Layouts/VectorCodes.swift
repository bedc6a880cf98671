import CPithKernels
import PithCore
import PithModels
import PithTensor

/// Codes of a byte that name 4 or 8 weights at once in each of some books, whose entries are added, with a scale for
/// each group of columns of a row: weight = (sum of entries) · scale. Entries are whole numbers from −128 to 127, and
/// so are their sums, modulo 256.
///
/// Parts: `codes` U8 [blocks, units, 8 / dimension, books, 64], where byte 16 · (row / 4) + 4 · (chunk % 4) + row % 4
/// names the columns of a chunk; `books` I8 [books, entries, dimension]; `scales` F16 [blocks, groups, 16]. Parameters:
/// `dimension`, `books`, `entries`, `groupSize`.
package struct VectorCodes: PackedLayout {
    package static let layout = "vector"

    package let outputCount: Int
    package let inputCount: Int
    /// Columns that a code names, 4 or 8.
    package let dimension: Int
    /// Codes of as many columns.
    package let bookCount: Int
    /// Entries of a book, up to 256; codes beyond them mean zero.
    package let entryCount: Int
    /// Columns that share a scale, a multiple of 32 or all; the last group of a row may be shorter.
    package let groupSize: Int

    package let packing: Packing
    private let codes: StoredTensor
    private let books: StoredTensor
    private let scales: StoredTensor
    /// The books filled up with zeros, the first plus 128, [books, 256, dimension], and the same as planes, [books, dimension, 256].
    private let tables: StoredTensor

    /// Books that can be added.
    package static let bookRange = 1...4

    package var storedBits: Int { stored.storedBits }

    package var stored: StoredParts {
        StoredParts(
            tensors: ["codes": codes, "books": books, "scales": scales],
            parameters: [
                "dimension": dimension, "books": bookCount, "entries": entryCount, "groupSize": groupSize,
            ])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        dimension = try parts.parameter("dimension", in: 4...8)
        guard dimension % 4 == 0 else {
            throw .data("parameter 'dimension' is \(dimension)", remedy: "it should be 4 or 8")
        }
        bookCount = try parts.parameter("books", in: Self.bookRange)
        entryCount = try parts.parameter("entries", in: 1...256)
        groupSize = try parts.parameter("groupSize", in: 1...largestExtent)
        packing = try Packing(rows: outputCount, columns: inputCount, groupSize: groupSize)
        codes = try parts.tensor("codes", .uint8, [packing.blocks, packing.units, 8 / dimension, bookCount, 64])
        books = try parts.tensor("books", .int8, [bookCount, entryCount, dimension])
        scales = try packing.scales(parts)
        tables = Self.tables(books)
    }

    /// Packs codes, [books, rows, chunks], of the entries of books, [books, entries, dimension], with scales,
    /// [rows, groups]. A chunk is `dimension` columns; the last of a row may be shorter.
    package init(
        codes: [[UInt8]], books: [Int8], dimension: Int, scales: [Float], rows: Int, columns: Int, groupSize: Int
    ) throws(PithError) {
        let packing = try Packing(rows: rows, columns: columns, groupSize: groupSize)
        let (chunks, fours, bookCount) = ((columns + dimension - 1) / dimension, 8 / dimension, codes.count)
        precondition(codes.allSatisfy { $0.count == rows * chunks }, "a code for each chunk")
        let entryCount = books.count / (bookCount * dimension)
        var bytes = [UInt8](repeating: 0, count: packing.blocks * packing.units * fours * bookCount * 64)
        for (book, codes) in codes.enumerated() {
            for row in 0..<rows {
                for chunk in 0..<chunks {
                    let four = row / 16 * packing.units * fours + chunk / 4
                    let place = row % 16 / 4 * 16 + chunk % 4 * 4 + row % 4
                    // [blocks, units, fours] are the fours of a block one after the other.
                    bytes[(four * bookCount + book) * 64 + place] = codes[row * chunks + chunk]
                }
            }
        }
        var parts = StoredParts(
            tensors: packing.gridParts(scales: scales),
            parameters: [
                "dimension": dimension, "books": bookCount, "entries": entryCount, "groupSize": groupSize,
            ])
        parts.tensors["codes"] = StoredTensor(
            bytes: bytes, shape: [packing.blocks, packing.units, fours, bookCount, 64])
        parts.tensors["books"] = StoredTensor(books, as: .int8, shape: [bookCount, entryCount, dimension])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    /// `books`, [books, entries, dimension], as the kernels look them up.
    private static func tables(_ books: StoredTensor) -> StoredTensor {
        let (bookCount, entryCount, dimension) = (books.shape[0], books.shape[1], books.shape[2])
        let (size, count) = (256 * dimension, bookCount * 256 * dimension)
        var tables = [UInt8](repeating: 0, count: 2 * count)
        for i in 0..<count {
            let (book, entry, column) = (i / size, i % size / dimension, i % dimension)
            let stored = book * entryCount + entry
            let value = entry < entryCount ? books.byteValues[stored * dimension + column] : 0
            // Once 128 is in the first book it is in every sum.
            tables[i] = book == 0 ? value ^ 0x80 : value
            tables[count + (book * dimension + column) * 256 + entry] = tables[i]
        }
        return StoredTensor(bytes: tables, shape: [2, count])
    }

    package var packed: pith_packed {
        var packed = packing.packed(
            dimension == 4 ? PITH_VECTORS_4 : PITH_VECTORS_8, codes, unitBytes: 8 / dimension * bookCount * 64, scales,
            zero: 128)
        packed.books = Int32(bookCount)
        packed.tables = tables.byteValues.baseAddress
        return packed
    }
}
