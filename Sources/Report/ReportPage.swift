import Foundation

/// The page's own files, put into one.
enum ReportPage {
  /// In the order in which they build on each other, and in which their sections stand.
  private static let scripts = [
    PackageResources.core_js, PackageResources.packed_js, PackageResources.chart_js,
    PackageResources.prompts_js,
    PackageResources.optimizers_js, PackageResources.cartpole_js, PackageResources.policies_js,
    PackageResources.landscape_js, PackageResources.walks_js, PackageResources.audit_js,
    PackageResources.corpus_js, PackageResources.main_js,
  ]

  /// - Parameter json: the report.
  static func html(_ json: Data) -> Data {
    let parts: [String: () -> Data] = [
      "style": { Data(PackageResources.style_css) },
      "report": { escaped(json) },
      "scripts": {
        scripts.reduce(Data()) { $0 + Data("<script>\n".utf8) + Data($1) + Data("</script>\n".utf8) }
      },
    ]
    var page = Data()
    var template = Data(PackageResources.page_html)
    while let opening = template.firstRange(of: Data("{{".utf8)),
      let closing = template.firstRange(of: Data("}}".utf8))
    {
      page += template[..<opening.lowerBound]
      let name = String(decoding: template[opening.upperBound..<closing.lowerBound], as: UTF8.self)
      page += parts[name]?() ?? Data()
      template = Data(template[closing.upperBound...])
    }
    return page + template
  }

  /// JSON without the character that could end the element which it stands in; it occurs in texts alone.
  private static func escaped(_ json: Data) -> Data {
    var text = Data(capacity: json.count)
    let replacement = Data("\\u003c".utf8)
    for piece in json.split(separator: UInt8(ascii: "<"), omittingEmptySubsequences: false).enumerated() {
      if piece.offset > 0 { text += replacement }
      text += piece.element
    }
    return text
  }
}
