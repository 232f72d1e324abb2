// What the search and the buttons that copy say; there is no other Vietnamese for it
Documentation.addTranslations({
  locale: "vi",
  messages: {
    Copy: "Sao chép",
    "Copied!": "Đã sao chép!",
    "Copy to clipboard": "Sao chép vào bộ nhớ tạm",
    "Failed to copy": "Không sao chép được",
    "Hide Search Matches": "Ẩn từ tìm được",
    "Preparing search...": "Đang chuẩn bị tìm kiếm…",
    Search: "Tìm kiếm",
    "Search Results": "Kết quả tìm kiếm",
    "Search finished, found one page matching the search query.": [
      "Tìm thấy ${resultCount} trang.",
    ],
    Searching: "Đang tìm",
    "Your search did not match any documents. Please make sure that all words are spelled correctly and that you've selected enough categories.":
      "Không tìm thấy trang nào. Hãy kiểm tra chính tả của các từ.",
  },
  plural_expr: "0",
});
